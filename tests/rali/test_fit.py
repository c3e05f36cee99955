"""All three stages in one process on pictures whose quality is known: textures with more or less noise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ray_iqa.config.rali import RaliFitConfig
from ray_iqa.errors import ConfigError, DataError
from ray_iqa.rali.fit.data import FitImages
from ray_iqa.rali.fit.small_clip import build_small_clip, warm_up
from ray_iqa.rali.fit.stages import fit_head, fit_in_process, hold_out
from ray_iqa.rali.model.encoders import Clip, load_clip
from ray_iqa.rali.scorer import RaliScorer
from ray_iqa.statistics.correlation import plcc, srcc

WORDS = ("clean", "slightly noisy", "clearly noisy", "very noisy")
CONFIG = RaliFitConfig.model_validate(
    {
        "backbone": {"name": "small", "pretrained": None},
        "target": "teacher",
        "texts_per_image": 2,
        "validation_fraction": 0.2,
        "alignment": {"epochs": 2, "batch_size": 64, "learning_rate": 3e-4, "projection_learning_rate": 1e-3},
        "projection": {"num_components": 32},
        "basis": {"num_buckets": 20, "num_vectors": 24, "kmeans_restarts": 2},
        "fine_tuning": {"epochs": 30},
    }
)


def noisy_textures(count: int, seed: int) -> FitImages:
    rng = np.random.default_rng(seed)
    images, texts, targets = [], [], []
    y, x = np.mgrid[:56, :56] / 56
    for _ in range(count):
        waves = sum(np.sin(2 * np.pi * (rng.normal(0, 2) * x + rng.normal(0, 2) * y + rng.random())) for _ in range(3))
        colour = waves[..., None] * rng.uniform(10, 30, 3) + rng.uniform(90, 160, 3)
        strength = rng.random()
        noise = rng.normal(0, 1 + 40 * strength, (56, 56, 3))
        images.append(np.clip(np.rint(colour + noise), 0, 255).astype(np.uint8))
        words = WORDS[int(4 * strength)]
        texts.append([f"The picture looks {words}.", f"It is {words}."])
        targets.append(5 - 4 * strength)
    ids = [f"{seed}-{number}" for number in range(count)]
    return FitImages(ids=ids, contents=ids, images=images, reasonings=texts, targets=np.array(targets))


@pytest.fixture(scope="module")
def train() -> FitImages:
    return noisy_textures(480, seed=0)


@pytest.fixture(scope="module")
def warm_folder(train: FitImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warm")
    clip = build_small_clip(folder)
    losses = warm_up(clip, train.images, [own[0] for own in train.reasonings], num_steps=110, batch_size=64)
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    clip.save(folder)
    return folder


def loaded(folder: Path) -> Clip:
    return load_clip(str(folder))


def test_fit_finds_known_quality_on_new_pictures(train: FitImages, warm_folder: Path, tmp_path: Path) -> None:
    clip = loaded(warm_folder)
    before = {name: tensor.clone() for name, tensor in clip.model.state_dict().items()}
    log: dict[int, dict[str, float]] = {}
    scorer = fit_in_process(clip, train, CONFIG, log.__setitem__)
    assert sorted(log) == [0, 1, 2]
    assert set(log[0]) == {"alignment/probe_srcc"}
    assert log[2]["alignment/loss"] < log[1]["alignment/loss"]
    changed = {name for name, tensor in clip.model.state_dict().items() if not torch.equal(before[name], tensor)}
    assert changed
    assert all(name.startswith("visual.") for name in changed)

    scorer.save(tmp_path)
    test = noisy_textures(100, seed=1)
    scores = [row.value for row in RaliScorer.load(tmp_path).score(test.images)]
    assert srcc(scores, test.targets) > 0.88
    assert plcc(scores, test.targets) > 0.88
    assert np.abs(scores - test.targets).mean() < 0.5  # also calibrated, not only ranked
    assert scorer.artifact.provenance["held_out"]["srcc"] > 0.9


def test_fit_repeats_with_its_seed(train: FitImages, warm_folder: Path) -> None:
    first, second = (fit_in_process(loaded(warm_folder), train, CONFIG, lambda *_: None) for _ in range(2))
    assert first.score(train.images[:5]) == second.score(train.images[:5])


def test_without_alignment_the_tower_stays(train: FitImages, warm_folder: Path) -> None:
    clip = loaded(warm_folder)
    before = {name: tensor.clone() for name, tensor in clip.model.state_dict().items()}
    config = ablated(alignment={"enabled": False})
    scorer = fit_in_process(clip, train, config, lambda *_: pytest.fail("nothing to log without alignment"))
    assert all(torch.equal(before[name], tensor) for name, tensor in clip.model.state_dict().items())
    assert scorer.artifact.provenance["held_out"]["srcc"] > 0.8


def test_a_picture_that_went_bad_costs_itself_and_is_named(train: FitImages, warm_folder: Path, tmp_path: Path) -> None:
    images = [*train.images]
    for number in (3, 100, 333):
        images[number] = str(tmp_path / f"{number}.png")  # gone
    few = train.rows(np.arange(480) < 400)
    broken = replace(few, images=images[:400])
    log: dict[int, dict[str, float]] = {}
    scorer = fit_in_process(loaded(warm_folder), broken, CONFIG, log.__setitem__)
    provenance = scorer.artifact.provenance
    assert provenance["failed"] == {f"0-{n}": f"{tmp_path}/{n}.png: no such image file" for n in (3, 100, 333)}
    assert provenance["num_images"] + provenance["num_held_out"] == 397
    assert log[2]["alignment/loss"] < log[1]["alignment/loss"]
    assert provenance["held_out"]["srcc"] > 0.85
    gone = replace(few, images=["/gone.png"] * 400)
    with pytest.raises(DataError, match=r"gone\.png"):
        fit_in_process(loaded(warm_folder), gone, CONFIG, log.__setitem__)


def features(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 40)).astype(np.float32)
    return rows, np.clip(3 + rows[:, 0] - rows[:, 1], 1, 5).astype(np.float64)


def ablated(**sections: dict[str, object]) -> RaliFitConfig:
    return RaliFitConfig.model_validate({**CONFIG.model_dump(), **{
        name: {**CONFIG.model_dump()[name], **change} for name, change in sections.items()
    }})  # fmt: skip


def test_each_ablation_of_the_head_is_one_key() -> None:
    train, held_out = features(400, 0), features(100, 1)
    full, figures = fit_head(train, held_out, CONFIG)
    assert figures["mse"] < figures["mse_before_fine_tuning"]

    whole, _ = fit_head(train, held_out, ablated(projection={"enabled": False}))
    assert torch.equal(whole.components, torch.eye(40))
    assert full.components.shape == (32, 40)

    plain, _ = fit_head(train, held_out, ablated(basis={"bucketed": False}))
    start, start_figures = fit_head(train, held_out, ablated(fine_tuning={"enabled": False}))
    assert start_figures["mse"] == start_figures["mse_before_fine_tuning"] == figures["mse_before_fine_tuning"]
    assert plain.vectors.shape == start.vectors.shape == full.vectors.shape == (24, 32)
    # Buckets of equal score spread the basis scores evenly; clusters of features alone pull them to the middle.
    unspread, _ = fit_head(train, held_out, ablated(basis={"bucketed": False}, fine_tuning={"enabled": False}))
    assert unspread.scores.std() < 0.6 * start.scores.std()


def test_held_out_slice_depends_on_the_set_of_contents_only() -> None:
    ids = [f"image {number}" for number in range(50)]
    chosen = {image_id for image_id, held in zip(ids, hold_out(ids, 0.2, 0), strict=True) if held}
    turned = {image_id for image_id, held in zip(ids[::-1], hold_out(ids[::-1], 0.2, 0), strict=True) if held}
    assert chosen == turned
    assert len(chosen) == 10
    other = {image_id for image_id, held in zip(ids, hold_out(ids, 0.2, 1), strict=True) if held}
    assert other != chosen
    with pytest.raises(DataError, match=r"at least 4 images, .* got 3 images"):
        hold_out(ids[:3], 0.2, 0)


def test_no_content_is_on_both_sides_of_the_held_out_slice() -> None:
    contents = [f"reference {number % 30}" for number in range(240)]
    held = hold_out(contents, 0.1, 0)
    inside = {content for content, is_held in zip(contents, held, strict=True) if is_held}
    outside = {content for content, is_held in zip(contents, held, strict=True) if not is_held}
    assert not inside & outside
    assert held.sum() == 24  # three of 30 references with 8 images each
    with pytest.raises(DataError, match="got 9 images of 1 contents"):
        hold_out(["same"] * 9, 0.1, 0)


def test_a_tower_that_alignment_makes_worse_is_not_kept(train: FitImages, warm_folder: Path) -> None:
    clip = loaded(warm_folder)
    before = {name: value.clone() for name, value in clip.image.tower.state_dict().items()}
    fast = {"learning_rate": 3.0, "projection_learning_rate": 3.0, "max_grad_norm": 1e9, "epochs": 2}
    log: dict[int, dict[str, float]] = {}
    fit_in_process(clip, train, ablated(alignment=fast), log.__setitem__)
    probes = [log[epoch]["alignment/probe_srcc"] for epoch in (0, 1, 2)]
    assert max(probes) == probes[0]
    assert all(torch.equal(before[name], value) for name, value in clip.image.tower.state_dict().items())


def test_more_vectors_than_images_is_named(train: FitImages) -> None:
    few = train.rows(np.arange(480) < 25)
    with pytest.raises(ConfigError, match=r"basis\.num_vectors"):
        fit_head(
            (np.random.default_rng(0).normal(size=(20, 40)).astype(np.float32), few.targets[:20]),
            (np.ones((5, 40), np.float32), few.targets[20:]),
            ablated(projection={"num_components": 4}),
        )
