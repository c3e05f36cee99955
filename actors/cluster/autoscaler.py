"""What Ray's autoscaler is doing, in a few words; read where `ray status` reads it, from either generation of it."""

import json
import re
from collections import Counter
from dataclasses import dataclass

import ray
from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.autoscaler.v2.utils import is_autoscaler_v2
from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply
from ray.experimental.internal_kv import _internal_kv_get, internal_kv_get_gcs_client

_NO_TYPE = re.compile("node_[0-9a-f]{40,}")  # how a monitor that starts no nodes calls the type of each node


@dataclass(frozen=True, slots=True)
class _Report:
    """Node types by name: those there are, and how many nodes are on their way or have failed."""

    running: frozenset[str]
    pending: Counter[str]
    num_failed: int


def has_autoscaler() -> bool:
    """Whether something may add nodes to this cluster; a plain `ray start` or a local cluster has nothing."""
    report = _report()
    return report is not None and not all(_NO_TYPE.fullmatch(kind) for kind in report.running)


def autoscaler_activity() -> str:
    """``no autoscaler``, or how many nodes of which type are on their way and how many failed."""
    report = _report()
    if report is None or not has_autoscaler():
        return "no autoscaler"
    coming = ", ".join(f"{count} {kind}" for kind, count in sorted(report.pending.items())) or "no node"
    return f"the autoscaler is starting {coming}" + (f", {report.num_failed} failed" if report.num_failed else "")


def is_beyond_limits(placement_group_id: str) -> bool:
    """Whether the autoscaler has found no way to place a waiting group with all nodes that it may start.

    Other runs' nodes count as taken. Ray's second autoscaler, the default of `ray up` and of `clusters/`, reports this
    with every update; the first one does not, and neither publishes the limits themselves.
    """
    if not is_autoscaler_v2(fetch_from_server=True):
        return False
    reply = GetClusterStatusReply()
    reply.ParseFromString(internal_kv_get_gcs_client().get_cluster_status(timeout_s=10))
    gangs = reply.autoscaling_state.infeasible_gang_resource_requests
    return any(placement_group_id in gang.details for gang in gangs)


def _report() -> _Report | None:
    if is_autoscaler_v2(fetch_from_server=True):
        status = get_cluster_status(ray.get_runtime_context().gcs_address)
        pending = Counter(node.ray_node_type_name for node in status.pending_nodes)
        for launch in status.pending_launches:
            pending[launch.ray_node_type_name] += launch.count
        running = frozenset(node.ray_node_type_name for node in (*status.active_nodes, *status.idle_nodes))
        # Its failed nodes are all that are gone, those it took back because they were idle too.
        num_failed = sum(launch.count for launch in status.failed_launches)
        return _Report(running, pending, num_failed)
    written = _internal_kv_get(DEBUG_AUTOSCALING_STATUS)
    report = json.loads(written).get("autoscaler_report") if written else None
    if report is None:
        return None
    pending = Counter(kind for _, kind, _ in report["pending_nodes"])
    pending.update(report["pending_launches"])
    return _Report(
        frozenset({**report["active_nodes"], **(report["idle_nodes"] or {})}), pending, len(report["failed_nodes"])
    )
