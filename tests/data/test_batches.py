"""Composition of steps: partners, fairness, purity."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_iqa.data.batches import ImageBatches
from ray_iqa.errors import ConfigError, DataError
from ray_iqa.types import LabelledImage


def labelled(dataset: str, count: int) -> list[LabelledImage]:
    return [
        LabelledImage(
            image_id=f"{i}", image_path=f"/{i}.png", dataset=dataset, mos=float(i), mos_std=None, higher_is_better=True
        )
        for i in range(count)
    ]


def scenes(dataset: str, num_scenes: int, size: int) -> list[LabelledImage]:
    return [
        replace(image, image_id=f"{scene}-{image.image_id}", scene_id=f"scene {scene}")
        for scene in range(num_scenes)
        for image in labelled(dataset, size)
    ]


def key(image: LabelledImage) -> tuple[str, str]:
    return image.dataset, image.image_id


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.integers(30, 200), min_size=1, max_size=4),
    images_per_step=st.integers(4, 30),
    min_partners=st.integers(1, 3),
    seed=st.integers(0, 5),
)
def test_every_image_of_every_step_meets_its_partners(
    sizes: list[int], images_per_step: int, min_partners: int, seed: int
) -> None:
    images = [image for number, size in enumerate(sizes) for image in labelled(f"d{number}", size)]
    batches = ImageBatches(images, images_per_step, min_partners, seed)
    for step in range(1, 2 * batches.steps_per_epoch + 1):
        chosen = batches.for_step(step)
        assert len({key(image) for image in chosen}) == images_per_step
        assert min(Counter(image.dataset for image in chosen).values()) > min_partners


def test_a_step_is_a_function_of_seed_and_step_only() -> None:
    images = labelled("a", 40) + labelled("b", 20)
    batches = ImageBatches(images, 12, 3, seed=7)
    late_first = [batches.for_step(step) for step in (9, 1, 5)]
    again = ImageBatches(images[::-1], 12, 3, seed=7)
    assert [again.for_step(step) for step in (9, 1, 5)] == late_first
    assert ImageBatches(images, 12, 3, seed=8).for_step(9) != late_first[0]
    assert batches.for_step(1) != batches.for_step(1 + batches.steps_per_epoch)


def test_an_epoch_shows_every_image_once_when_cells_fit() -> None:
    batches = ImageBatches(labelled("a", 64) + labelled("b", 32), 32, 3, seed=0)
    assert batches.steps_per_epoch == 3
    for epoch in range(3):
        steps = range(1 + 3 * epoch, 4 + 3 * epoch)
        seen = Counter(key(image) for step in steps for image in batches.for_step(step))
        assert set(seen.values()) == {1}
        assert len(seen) == 96


@pytest.mark.parametrize(("sizes", "images_per_step"), [((37,), 16), ((101, 19), 32), ((50, 41, 9), 9), ((200,), 128)])
def test_no_image_starves(sizes: tuple[int, ...], images_per_step: int) -> None:
    images = [image for number, size in enumerate(sizes) for image in labelled(f"d{number}", size)]
    batches = ImageBatches(images, images_per_step, 3, seed=3)
    num_epochs = 40
    seen = Counter(
        key(image) for s in range(1, num_epochs * batches.steps_per_epoch + 1) for image in batches.for_step(s)
    )
    for number in range(len(sizes)):
        views = [seen[key(image)] for image in images if image.dataset == f"d{number}"]
        assert max(views) - min(views) <= 1
    share = [sum(v for k, v in seen.items() if k[0] == f"d{number}") / seen.total() for number in range(len(sizes))]
    assert share == pytest.approx([size / sum(sizes) for size in sizes], abs=0.06)


def test_each_step_mixes_the_datasets_in_proportion() -> None:
    batches = ImageBatches(labelled("a", 3000) + labelled("b", 1000), 32, 3, seed=1)
    for step in range(1, batches.steps_per_epoch + 1):
        assert abs(Counter(image.dataset for image in batches.for_step(step))["b"] - 8) <= 4


def test_blocks_of_the_paper_keep_their_partners() -> None:
    batches = ImageBatches(labelled("a", 90) + labelled("b", 70) + labelled("c", 33), 24, 3, seed=1)
    for step in range(1, 20):
        names = [image.dataset for image in batches.for_step(step)]
        for start in range(0, 24, 8):
            assert min(Counter(names[start : start + 8]).values()) >= 4


def test_an_image_meets_its_partners_inside_its_scene() -> None:
    """As many scenes and images as SRIQA-Bench has, beside an ordinary dataset."""
    batches = ImageBatches(scenes("per scene", 100, 11) + labelled("a", 500), 32, 3, seed=0)
    seen = Counter()
    for step in range(1, 2 * batches.steps_per_epoch + 1):
        chosen = batches.for_step(step)
        assert min(Counter((image.dataset, image.scene_id) for image in chosen).values()) >= 4
        seen.update(image.scene_id for image in chosen)
    assert len(seen) == 101
    assert seen[None] / seen.total() == pytest.approx(500 / (500 + 100 * 8), abs=0.02)  # 8 of 11 fill cells of 4


def test_a_scene_that_is_too_small_is_named() -> None:
    with pytest.raises(ConfigError, match=r"scene 'scene 0' of dataset 'x' must have at least 4 images .* got 3"):
        ImageBatches(labelled("big", 100) + scenes("x", 1, 3), 16, 3, seed=0)


def test_impossible_compositions_say_what_to_change() -> None:
    with pytest.raises(ConfigError, match=r"dataset 'small' must have at least 4 images .* got 3"):
        ImageBatches(labelled("big", 100) + labelled("small", 3), 16, 3, seed=0)
    with pytest.raises(ConfigError, match=r"images_per_step must be lower, got 24: 21 images of 1 datasets"):
        ImageBatches(labelled("a", 21), 24, 3, seed=0)
    assert len(ImageBatches(labelled("a", 21), 21, 3, seed=0).for_step(5)) == 21
    with pytest.raises(ConfigError, match=r"must exceed data\.min_partners, got 3 <= 3"):
        ImageBatches(labelled("a", 21), 3, 3, seed=0)
    with pytest.raises(ConfigError, match="dataset 'c' is too small beside the others"):
        ImageBatches(labelled("a", 4) + labelled("b", 4) + labelled("c", 4), 8, 3, seed=0)
    with pytest.raises(DataError, match="image_id '0' of dataset 'a' is already at"):
        ImageBatches(labelled("a", 8) + labelled("a", 1), 4, 3, seed=0)
