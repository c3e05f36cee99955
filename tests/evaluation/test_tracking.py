import math
from pathlib import Path

import numpy as np
import pytest

from ray_iqa.errors import ConfigError
from ray_iqa.evaluation.tracking import change, progress, prompts, step_folders


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def test_the_step_is_the_last_number_in_a_folders_name(tmp_path: Path) -> None:
    touch(*(tmp_path / "v2" / name / "a.png" for name in ("step-000100", "step-000020", "sd3-epoch-7")))
    (tmp_path / "v2" / "notes").mkdir()
    expected = [7, 20, 100]
    assert list(step_folders([str(path) for path in sorted((tmp_path / "v2").glob("*-*"))])) == expected
    (tmp_path / "v2").rename(tmp_path / "samples")
    assert list(step_folders([str(tmp_path / "samples")])) == expected
    assert step_folders([str(tmp_path / "samples")])[20].name == "step-000020"


def test_a_folder_of_one_step_may_have_folders_inside(tmp_path: Path) -> None:
    touch(tmp_path / "step-5" / "prompt-1" / "seed-0.png", tmp_path / "step-5" / "prompt-2" / "seed-0.webp")
    folders = step_folders([str(tmp_path / "step-5")])
    assert list(folders) == [5]
    assert list(prompts(folders[5])) == ["prompt-1/seed-0", "prompt-2/seed-0"]


def test_folders_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    touch(
        tmp_path / "a-1" / "x.png", tmp_path / "b-1" / "x.png", tmp_path / "none" / "x.png", tmp_path / "none" / "x.jpg"
    )
    with pytest.raises(ConfigError, match="both of step 1"):
        step_folders([str(tmp_path / "a-1"), str(tmp_path / "b-1")])
    with pytest.raises(ConfigError, match="must have its training step in its name"):
        step_folders([str(tmp_path / "none")])
    with pytest.raises(ConfigError, match="have the same"):
        prompts(tmp_path / "none")
    with pytest.raises(ConfigError, match="is none"):
        step_folders([str(tmp_path / "nowhere-1")])


def test_steps_are_compared_prompt_by_prompt() -> None:
    rng = np.random.default_rng(0)
    base = {f"p{i}": float(value) for i, value in enumerate(rng.normal(3, 1, 60))}
    better = {prompt: score + 0.1 + 0.01 * rng.standard_normal() for prompt, score in base.items()}
    later = dict(list(better.items())[10:]) | {"p20": None, "new": 3.0}
    steps = progress({0: base, 100: better, 200: later})
    assert [(step.step, step.n, step.n_failed) for step in steps] == [(0, 60, 0), (100, 60, 0), (200, 50, 1)]
    assert steps[0].since_first is None
    assert steps[0].since_previous is None
    for step in steps[1:]:
        assert step.since_first is not None
        assert step.since_first.mean == pytest.approx(0.1, abs=0.01)
        assert step.since_first.p_value < 0.01
    assert steps[2].since_first is not None
    assert steps[2].since_first.n == 49
    assert steps[2].since_previous is not None
    assert steps[2].since_previous.mean == 0.0
    assert steps[2].since_previous.p_value == 1.0


def test_p_values_are_corrected_over_the_steps() -> None:
    rng = np.random.default_rng(1)
    scores = {step: {f"p{i}": float(value) for i, value in enumerate(rng.normal(3, 1, 30))} for step in range(5)}
    alone = [change(scores[0], scores[step]) for step in range(1, 5)]
    smallest = min(found.p_value for found in alone if found is not None)
    together = [step.since_first.p_value for step in progress(scores) if step.since_first is not None]
    assert min(together) == pytest.approx(min(1.0, 4 * smallest))


def test_a_step_without_any_score_has_no_mean() -> None:
    first, second = progress({7: {"a": None}, 8: {"a": 3.0, "b": 2.0}})
    assert (first.n, first.n_failed, second.n, second.mean) == (0, 1, 2, 2.5)
    assert math.isnan(first.mean)
    assert second.since_first is None
    with pytest.raises(ConfigError, match="no picture of the 1 steps can be scored"):
        progress({7: {"a": None}})
