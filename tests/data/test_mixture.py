"""Shares of datasets in a step by weights of their own."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_batches import key, labelled, scenes

from ray_iqa.config.load import load_config
from ray_iqa.config.train import TrainConfig
from ray_iqa.data.mixture import WeightedBatches
from ray_iqa.errors import ConfigError


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.integers(40, 300), min_size=1, max_size=4),
    weights=st.lists(st.floats(0.2, 5.0), min_size=4, max_size=4),
    images_per_step=st.integers(4, 30),
    min_partners=st.integers(1, 3),
    seed=st.integers(0, 3),
)
def test_steps_hold_different_images_with_their_partners_in_the_shares_asked_for(
    sizes: list[int], weights: list[float], images_per_step: int, min_partners: int, seed: int
) -> None:
    names = [f"d{number}" for number in range(len(sizes))]
    images = [image for name, size in zip(names, sizes, strict=True) for image in labelled(name, size)]
    asked = dict(zip(names, weights, strict=False))
    batches = WeightedBatches(images, images_per_step, min_partners, seed, asked)
    seen: Counter[str] = Counter()
    for step in range(1, batches.steps_per_epoch + 1):
        chosen = batches.for_step(step)
        assert len({key(image) for image in chosen}) == images_per_step
        of_step = Counter(image.dataset for image in chosen)
        assert min(of_step.values()) > min_partners
        seen += of_step
    for name in names:
        share = asked[name] / sum(asked.values())
        assert abs(seen[name] - share * seen.total()) <= 2 * (2 * min_partners + 1)


def test_uniform_gives_a_small_dataset_the_share_of_a_large_one_and_no_image_twice_before_the_others() -> None:
    batches = WeightedBatches(labelled("small", 20) + labelled("large", 180), 20, 3, seed=0, weights=None)
    drawn = [image for step in range(1, batches.steps_per_epoch + 1) for image in batches.for_step(step)]
    counts = Counter(image.dataset for image in drawn)
    assert counts == {"small": 100, "large": 100}
    times = Counter(key(image) for image in drawn)
    assert {times["small", str(i)] for i in range(20)} <= {4, 5, 6}
    assert max(times["large", str(i)] for i in range(180)) == 1


def test_it_is_a_function_of_seed_and_step_only_and_epochs_differ() -> None:
    images = scenes("a", 3, 12) + labelled("b", 20)
    weights = {"a": 1.0, "b": 3.0}
    batches = WeightedBatches(images, 12, 3, 7, weights)
    again = WeightedBatches(images[::-1], 12, 3, 7, weights)
    assert [again.for_step(step) for step in (9, 1, 5)] == [batches.for_step(step) for step in (9, 1, 5)]
    assert batches.for_step(1) != batches.for_step(1 + batches.steps_per_epoch)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"a": 1.0}, "must have a weight for each dataset of data.train, which are a, b, got weights of a"),
        ({"a": 1.0, "b": 9.0}, "dataset 'b' has 8 images, but its weight in data.mixture asks for 1[26] different"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        WeightedBatches(labelled("a", 100) + labelled("b", 8), 16, 3, 0, weights)


def test_weights_are_a_mapping_by_dataset() -> None:
    config = load_config(TrainConfig, "configs/train/kadid.yaml", ["data.mixture={kadid10k: 1, spaq: 2.5}"])
    assert config.data.mixture == {"kadid10k": 1.0, "spaq": 2.5}
    assert load_config(TrainConfig, "configs/train/kadid.yaml", ["data.mixture=uniform"]).data.mixture == "uniform"
    with pytest.raises(ConfigError, match=r"data\.mixture"):
        load_config(TrainConfig, "configs/train/kadid.yaml", ["data.mixture=unifrom"])
