"""Cluster launcher files: Ray's own schema, our promises about them, and runs that fit, by Ray's own autoscaler."""

import re
from pathlib import Path

import pytest
from autoscaler_plan import CLUSTERS, REPOSITORY, launched, named_clusters, read
from ray.autoscaler._private.util import prepare_config, validate_config

from actors.cluster.placement import plan_layout
from ray_iqa.config.load import load_config
from ray_iqa.config.train import TrainConfig

LAUNCHER = sorted(CLUSTERS.glob("*.yaml"))
CLOUD = [path for path in LAUNCHER if path.stem != "on-prem"]
COMMANDS = ("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands")


TRAIN = sorted((REPOSITORY / "configs/train").glob("*.yaml"))
PAIRS = [(config, cluster) for config in TRAIN for cluster in named_clusters(config)]


def test_all_clouds_and_configs_are_looked_at() -> None:
    providers = {read(path)["provider"]["type"] for path in LAUNCHER}
    assert providers == {"aws", "gcp", "azure", "local"}
    assert {config for config, _ in PAIRS} == set(TRAIN)


@pytest.mark.parametrize("path", LAUNCHER, ids=lambda path: path.stem)
def test_a_launcher_file_passes_rays_own_validation(path: Path) -> None:
    validate_config(prepare_config(read(path)))


def test_rays_validation_notices_a_typo() -> None:
    broken = read(CLUSTERS / "aws-train.yaml") | {"idle_timeout_minuts": 5}
    with pytest.raises(Exception, match="idle_timeout_minuts"):
        validate_config(prepare_config(broken))


@pytest.mark.parametrize("path", LAUNCHER, ids=lambda path: path.stem)
def test_a_cluster_is_closed_and_installs_nothing_at_start(path: Path) -> None:
    cluster = prepare_config(read(path))
    assert "--env RAY_AUTH_MODE=token" in cluster["docker"]["run_options"]
    assert "~/.ray/auth_token" in cluster["file_mounts"]
    head = " ".join(cluster["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in head
    assert "--autoscaling-config" in head
    assert any("/data" in command for command in cluster["initialization_commands"])
    inherited = " ".join(command for kind in COMMANDS for command in cluster[kind])
    assert "pip install" not in inherited  # Ray's defaults would install a nightly build
    assert "conda" not in inherited


@pytest.mark.parametrize("path", CLOUD, ids=lambda path: path.stem)
def test_the_head_only_controls_and_workers_start_from_nothing_spot_first(path: Path) -> None:
    cluster = read(path)
    types = dict(cluster["available_node_types"])
    head = types.pop(cluster["head_node_type"])
    assert head["resources"] == {"CPU": 0}
    assert "spot" not in str(head["node_config"]).lower()
    assert "preemptible" not in str(head["node_config"])
    assert all(node["min_workers"] == 0 for node in types.values())
    with_gpu = [node for node in types.values() if "GPU" in node["resources"]]
    assert len(with_gpu) >= 3
    assert all(node["idle_timeout_s"] <= 600 for node in with_gpu)
    first, *_, last = sorted(with_gpu, key=lambda node: -node["priority"])
    assert (first["labels"]["market-type"], last["labels"]["market-type"]) == ("spot", "on-demand")
    spelt_spot = [bool(re.search("spot|preemptible", str(node["node_config"]), re.I)) for node in types.values()]
    assert spelt_spot == [node["labels"]["market-type"] == "spot" for node in types.values()]


@pytest.mark.parametrize(("config", "path"), PAIRS, ids=lambda path: path.stem)
def test_a_run_fits_the_cluster_its_config_names(config: Path, path: Path) -> None:
    layout = plan_layout(load_config(TrainConfig, str(config)))
    assert launched(read(path), layout.bundles)


@pytest.mark.parametrize("path", [path for path in CLOUD if "train" in path.stem], ids=lambda path: path.stem)
def test_what_spot_cannot_give_comes_from_the_next_type(path: Path) -> None:
    cluster, gang = read(path), [{"CPU": 1.0, "GPU": 1.0}] * 16
    by_priority = sorted(
        (name for name, node in cluster["available_node_types"].items() if "priority" in node),
        key=lambda name: -cluster["available_node_types"][name]["priority"],
    )
    sold_out: list[str] = []
    for name in by_priority:
        assert launched(cluster, gang, sold_out)[name] == 2
        sold_out.append(name)


def test_a_run_that_no_cluster_holds_is_noticed() -> None:
    with pytest.raises(AssertionError, match="do not fit ray-iqa-train"):
        launched(read(CLUSTERS / "aws-train.yaml"), [{"CPU": 1.0, "GPU": 1.0}] * 65)
