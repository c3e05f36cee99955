import pytest

from actors.cluster.placement import plan_layout, total
from ray_iqa.config.load import load_config
from ray_iqa.config.train import TrainConfig
from ray_iqa.errors import ConfigError

KADID = "configs/train/kadid.yaml"


def test_separate_actors_take_bundles_of_their_own() -> None:
    layout = plan_layout(load_config(TrainConfig, KADID))
    assert total(layout.bundles) == {"CPU": 16.0, "GPU": 16.0}
    assert set(layout.rollout_bundles) & set(layout.learner_bundles) == set()
    assert sorted(layout.rollout_bundles + layout.learner_bundles) == list(range(16))


def test_tensor_parallel_engines_take_several_gpus() -> None:
    layout = plan_layout(load_config(TrainConfig, KADID, ["rollout.tensor_parallel_size=2", "rollout.min_workers=3"]))
    assert total(layout.bundles)["GPU"] == 3 * 2 + 8
    assert layout.gpus_per_rollout == 2


def test_colocated_actors_share_a_gpu() -> None:
    layout = plan_layout(load_config(TrainConfig, "configs/train/single_gpu_lora.yaml"))
    assert layout.bundles == ({"CPU": 2.0, "GPU": 1.0},)
    assert layout.rollout_bundles == layout.learner_bundles == (0,)
    assert layout.gpus_per_rollout + layout.gpus_per_rank == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("workers", "ranks", "tensor_parallel", "bundle", "num_bundles"),
    [
        (2, 6, 2, {"CPU": 4.0, "GPU": 5.0}, 2),  # on each node an engine of 2 GPUs and 3 ranks
        (8, 2, 1, {"CPU": 5.0, "GPU": 5.0}, 2),
        (1, 1, 1, {"CPU": 2.0, "GPU": 2.0}, 1),
    ],
)
def test_per_node_keeps_engines_and_ranks_together(
    workers: int, ranks: int, tensor_parallel: int, bundle: dict[str, float], num_bundles: int
) -> None:
    settings = [f"rollout.min_workers={workers}", f"learner.num_ranks={ranks}", "cluster.placement=per_node"]
    settings.append(f"rollout.tensor_parallel_size={tensor_parallel}")
    layout = plan_layout(load_config(TrainConfig, KADID, settings))
    assert layout.bundles == (bundle,) * num_bundles
    for place in range(num_bundles):
        engines, learners = layout.rollout_bundles.count(place), layout.learner_bundles.count(place)
        assert (engines, learners) == (workers // num_bundles, ranks // num_bundles)
        assert engines * layout.gpus_per_rollout + learners * layout.gpus_per_rank == bundle["GPU"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["cluster.placement=per_node", "rollout.min_workers=3"], "that divide each other, got 3 and 8"),
        (["cluster.placement=colocated", "rollout.tensor_parallel_size=2"], "rollout.tensor_parallel_size 1, got 2"),
    ],
)
def test_what_cannot_be_placed_so_is_refused(settings: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_config(TrainConfig, KADID, settings)


def test_a_cpu_run_asks_for_no_gpu() -> None:
    layout = plan_layout(load_config(TrainConfig, KADID, ["cluster.device=cpu"]))
    assert all("GPU" not in bundle for bundle in layout.bundles)
    assert layout.gpus_per_rollout == layout.gpus_per_rank == 0
