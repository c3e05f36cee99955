"""A Ray cluster on one machine whose autoscaler is the real one, of the second kind, and whose nodes are processes.

Ray's own `AutoscalingCluster` needs a template that its wheel leaves out, and stops every cluster of the machine. As an
"external" provider the same nodes need no template.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import ray
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID

NOT_USED = {  # keys that the autoscaler reads unasked
    "auth": {"ssh_user": "nobody"},
    "docker": {},
    "file_mounts": {},
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "rsync_exclude": [],
    "rsync_filter": [],
    "initialization_commands": [],
    "setup_commands": [],
    "head_setup_commands": [],
    "worker_setup_commands": [],
    "head_start_ray_commands": [],
    "worker_start_ray_commands": [],
}


@contextlib.contextmanager
def autoscaling_cluster(head_cpus: int, worker_cpus: int, most_workers: int, idle_s: float) -> Iterator[str]:
    """The address of a cluster that starts up to ``most_workers`` nodes and removes them when idle."""
    with tempfile.TemporaryDirectory(prefix="ray-") as home:
        port = _free_port()
        gcs_address = f"{ray.util.get_node_ip_address()}:{port}"
        config = Path(home) / "cluster.json"
        config.write_text(json.dumps(_config(gcs_address, head_cpus, worker_cpus, most_workers, idle_s)))
        environment = os.environ | {
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",  # as `ray up` sets it
            "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
            "RAY_NODE_TYPE_NAME": "ray.head.default",
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
            "RAY_AUTH_MODE": "disabled",
            "RAY_raylet_start_wait_time_s": "120",
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        }
        os.environ["RAY_AUTH_MODE"] = "disabled"  # of this process, which connects
        ray_command = str(Path(sys.executable).with_name("ray"))
        command = [ray_command, "start", "--head", "--block", f"--port={port}", f"--num-cpus={head_cpus}"]
        command += [f"--autoscaling-config={config}", "--include-dashboard=false", f"--temp-dir={home}/ray"]
        head = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _await_port(port, head)
            yield gcs_address
        finally:
            _kill_tree(head)


def _config(gcs_address: str, head_cpus: int, worker_cpus: int, most_workers: int, idle_s: float) -> dict[str, object]:
    return NOT_USED | {
        "cluster_name": "elastic",
        "max_workers": most_workers,
        "upscaling_speed": 10.0,
        "idle_timeout_minutes": idle_s / 60,
        "provider": {
            "type": "external",
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "launch_multiple": True,
            "head_node_id": FAKE_HEAD_NODE_ID,
            "gcs_address": gcs_address,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": head_cpus}, "node_config": {}, "max_workers": 0},
            "worker": {
                "resources": {"CPU": worker_cpus, "object_store_memory": 80_000_000},
                "node_config": {},
                "min_workers": 0,
                "max_workers": most_workers,
            },
        },
    }


def _kill_tree(head: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        processes = psutil.Process(head.pid).children(recursive=True)
        head.kill()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    head.wait()


def _await_port(port: int, head: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and head.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise SystemExit("the head node did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
