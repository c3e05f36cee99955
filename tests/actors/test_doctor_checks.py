"""What the doctor makes of the facts of machines that are not at hand."""

from dataclasses import replace

import pytest

from actors.doctor.checks import (
    check_engine,
    check_host_memory,
    check_learner,
    check_object_store,
    check_paths,
    check_ports,
    check_storage,
    check_versions,
)
from actors.doctor.node_facts import NodeFacts
from ray_iqa.config.load import load_config
from ray_iqa.config.train import TrainConfig
from ray_iqa.runs.memory import GIB, PolicySize

VERSIONS = {
    "python": "3.11.9",
    "ray": "2.60.0",
    "torch": "2.13.0",
    "transformers": "5.19.0",
    "vllm": "0.32.0",
    "deepspeed": "0.19.8",
}
NODE = NodeFacts(
    host="a",
    versions=VERSIONS,
    gpus=(80 * GIB,) * 8,
    memory=900 * GIB,
    object_store=200 * GIB,
    missing=(),
    wrote=True,
)
OTHER = replace(NODE, host="b")
SIZE = PolicySize(
    num_parameters=8_292_166_656,
    num_trained=8_292_166_656,
    num_layers=28,
    hidden_size=3584,
    num_kv_heads=4,
    head_size=128,
    vocabulary=152_064,
)
KADID = load_config(TrainConfig, "configs/train/kadid.yaml")


def test_one_image_everywhere_is_fine() -> None:
    assert check_versions([NODE, OTHER]).status == "ok"


@pytest.mark.parametrize(
    ("name", "version", "sentence"),
    [
        ("ray", "2.55.0", "ray must be <2.62,>=2.60, found 2.55.0"),
        ("vllm", None, "vllm must be <0.34,>=0.32, found missing"),
    ],
)
def test_a_version_outside_its_range_is_named(name: str, version: str | None, sentence: str) -> None:
    versions = {key: value for key, value in VERSIONS.items() if key != name} | ({name: version} if version else {})
    check = check_versions([replace(NODE, versions=versions)])
    assert check.status == "fail"
    assert sentence in check.sentence


def test_nodes_that_differ_are_named() -> None:
    check = check_versions([NODE, replace(OTHER, versions=VERSIONS | {"torch": "2.12.0"})])
    assert check.status == "fail"
    assert "torch 2.12.0 on b, 2.13.0 on a" in check.sentence


def test_storage_must_be_written_by_all_and_seen_by_the_driver() -> None:
    assert check_storage([NODE, OTHER], 2, "/data/run").status == "ok"
    assert "b cannot write" in check_storage([NODE, replace(OTHER, wrote=False)], 1, "/data/run").sentence
    unseen = check_storage([NODE, OTHER], 1, "/data/run")
    assert unseen.status == "fail"
    assert "2 nodes wrote to /data/run, the driver sees 1" in unseen.sentence


def test_a_uri_that_a_node_cannot_write_is_about_rights_and_not_about_run_dir() -> None:
    check = check_storage([NODE, replace(OTHER, wrote=False)], 1, "s3://bucket/run")
    assert (check.status, check.sentence) == (
        "fail",
        "b cannot write to s3://bucket/run: look at the rights of the nodes",
    )


def test_missing_paths_and_closed_ports_are_named() -> None:
    assert "b has no /data/x.png" in check_paths([NODE, replace(OTHER, missing=("/data/x.png",))], ["p"]).sentence
    assert check_paths([NODE], ["p"]).status == "ok"
    assert check_paths([NODE], []).status == "warn"  # nothing was looked for
    assert "b from a" in check_ports([("a", "b")], [NODE, OTHER]).sentence
    assert check_ports([], [NODE, OTHER]).status == "ok"
    assert "no other to reach" in check_ports([], [NODE]).sentence


def test_the_paper_recipe_fits_80_gb_but_not_24() -> None:
    assert check_engine(80 * GIB, SIZE, KADID).status == "ok"
    assert check_learner(80 * GIB, SIZE, KADID).status == "ok"
    for check in (check_engine, check_learner):
        assert check(16 * GIB, SIZE, KADID).status == "fail"
        assert check(None, SIZE, KADID).status == "warn"


@pytest.mark.parametrize(
    ("parameters", "trained", "layers", "hidden", "kv_heads", "vocabulary", "gib"),
    [
        (3_754_622_976, 165_453_824, 36, 2048, 2, 151_936, (22.5, 24, 80)),
        (8_292_166_656, 207_298_560, 28, 3584, 4, 152_064, (44.5, 48, 80)),
    ],
    ids=["3b", "7b"],
)
def test_the_recipe_for_one_gpu_fits_the_cards_of_its_header(
    parameters: int, trained: int, layers: int, hidden: int, kv_heads: int, vocabulary: int, gib: tuple[float, ...]
) -> None:
    config = load_config(TrainConfig, "configs/train/single_gpu_lora.yaml")
    size = PolicySize(
        num_parameters=parameters,
        num_trained=trained,
        num_layers=layers,
        hidden_size=hidden,
        num_kv_heads=kv_heads,
        head_size=128,
        vocabulary=vocabulary,
    )
    for gpu in gib:
        assert check_engine(int(gpu * GIB), size, config).status == "ok"
        assert check_learner(int(gpu * GIB), size, config).status in ("ok", "warn")


def test_a_failed_engine_says_which_share_would_do() -> None:
    config = load_config(TrainConfig, "configs/train/kadid.yaml", ["rollout.gpu_memory_utilization=0.22"])
    check = check_engine(80 * GIB, SIZE, config)
    assert check.status == "fail"
    # 15.45 GiB of weights, 3 GiB of activations and 4,096 tokens of 56 KiB are 18.66 GiB of 80
    assert "rollout.gpu_memory_utilization to 0.23" in check.sentence


def test_one_rank_cannot_train_all_of_a_7b_policy() -> None:
    config = load_config(TrainConfig, "configs/train/kadid.yaml", ["learner.num_ranks=1"])
    assert check_learner(80 * GIB, SIZE, config).status == "fail"
    offloaded = load_config(
        TrainConfig, "configs/train/kadid.yaml", ["learner.num_ranks=1", "learner.offload_optimizer=true"]
    )
    assert check_learner(80 * GIB, SIZE, offloaded).status == "ok"
    assert check_host_memory([replace(NODE, memory=64 * GIB)], SIZE, offloaded).status == "fail"
    assert check_host_memory([NODE], SIZE, offloaded).status == "ok"


def test_an_engine_on_the_same_gpu_counts_while_it_does_not_sleep() -> None:
    half = ["cluster.placement=colocated", "rollout.gpu_memory_utilization=0.5"]
    awake = load_config(TrainConfig, "configs/train/kadid.yaml", half)
    asleep = load_config(TrainConfig, "configs/train/kadid.yaml", [*half, "rollout.sleep_when_idle=true"])
    gpu = 64 * GIB
    assert check_learner(gpu, SIZE, KADID).status == "ok"
    assert check_learner(gpu, SIZE, asleep).status == "ok"
    assert check_learner(48 * GIB, SIZE, awake).status == "fail"


def test_the_object_store_should_hold_two_snapshots() -> None:
    assert check_object_store([NODE], SIZE, KADID).status == "ok"
    small = check_object_store([replace(NODE, object_store=20 * GIB)], SIZE, KADID)
    assert small.status == "warn"
    assert "30.9 GiB" in small.sentence
