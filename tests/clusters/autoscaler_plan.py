"""What Ray's own autoscaler would start for the bundles of a run, without a cloud."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import yaml
from ray._private.protobuf_compat import message_to_dict
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.autoscaler_pb2 import GangResourceRequest

REPOSITORY = Path(__file__).parents[2]
CLUSTERS = REPOSITORY / "clusters"


def read(path: Path) -> Any:  # noqa: ANN401 - YAML
    return yaml.load(path.read_text(), yaml.CSafeLoader)  # resource definitions are megabytes


def named_clusters(config: Path) -> list[Path]:
    """The cluster files of a config's header."""
    header = re.match(r"(#.*\n)+", config.read_text())
    assert header, f"{config} begins with its purpose, hardware, cluster and command"
    return [REPOSITORY / name for name in re.findall(r"clusters/[\w./-]+\.yaml", header[0])]


def launched(
    cluster: dict[str, Any], bundles: Sequence[dict[str, float]], sold_out: Collection[str] = ()
) -> Counter[str]:
    """Nodes by type for one placement group; an assertion when ``max_workers`` does not allow enough of them."""
    config = AutoscalingConfig(cluster, skip_content_hash=True)
    requests = [ResourceRequestUtil.make(bundle) for bundle in bundles]
    reply = ResourceDemandScheduler().schedule(
        SchedulingRequest(
            disable_launch_config_check=True,
            node_type_configs=config.get_node_type_configs(),
            max_num_nodes=config.get_max_num_worker_nodes(),  # without the head, which is not in this plan
            gang_resource_requests=[GangResourceRequest(requests=requests)],
            recoverable_resource_availabilities=dict.fromkeys(sold_out, 0.0),
        )
    )
    missing = [message_to_dict(gang) for gang in reply.infeasible_gang_resource_requests]
    assert not missing, f"{len(bundles)} bundles do not fit {cluster['cluster_name']}: {missing}"
    return Counter({request.instance_type: request.count for request in reply.to_launch})
