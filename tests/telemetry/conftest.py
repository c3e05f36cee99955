"""A small step to log: two images of two data sets, three completions each, one unparsed, one aborted."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ray_iqa.types import Completion, FinishReason, LabelledImage, RewardTable, RolloutGroup, StepRecord

SCORES = np.array([[2.0, 3.5, np.nan], [4.0, np.nan, 5.0]], dtype=np.float32)
TEXTS = (("a <answer>2</answer>", "b <answer>3.5</answer>", "no idea"), ("<answer>4</answer>", "<answer>4", "5"))
REASONS: tuple[tuple[FinishReason, ...], ...] = (("stop", "stop", "length"), ("stop", "abort", "stop"))


MakeStep = Callable[[int, dict[str, float]], StepRecord]


@pytest.fixture
def make_step(tmp_path: Path) -> MakeStep:
    """``make_step(step, metrics)``; the pictures lie in the test's folder."""
    return lambda step, metrics: _step_record(tmp_path, step, metrics)


def _step_record(folder: Path, step: int, metrics: dict[str, float]) -> StepRecord:
    return StepRecord(
        step=step,
        metrics=metrics,
        groups=tuple(_group(folder, step, b) for b in range(2)),
        table=RewardTable(
            scores=SCORES,
            parsed=~np.isnan(SCORES),
            terms={"fidelity": np.nan_to_num(SCORES) / 8, "format": (~np.isnan(SCORES)).astype(np.float32)},
            rewards=np.nan_to_num(SCORES) / 4,
            trainable=np.array([[True, True, True], [True, False, True]]),
            opposed=np.array([True, True]),
            num_pairs=0,
            mean_label_gap=float("nan"),
        ),
        advantages=np.arange(6, dtype=np.float32).reshape(2, 3) - 2.5,
    )


def _group(folder: Path, step: int, b: int) -> RolloutGroup:
    path = folder / f"picture-{b}.png"
    if not path.exists():
        Image.new("RGB", (600, 300), (200, 10 * b, 40)).save(path)
    return RolloutGroup(
        image=LabelledImage(
            image_id=f"image-{b}",
            image_path=str(path),
            dataset=f"set-{b}",
            mos=10.5 * b,
            mos_std=None,
            higher_is_better=b == 0,
        ),
        prompt_token_ids=np.arange(4, dtype=np.int32),
        completions=tuple(
            Completion(
                token_ids=np.arange(k + 2, dtype=np.int32),
                logprobs=np.zeros(k + 2, dtype=np.float32),
                text=TEXTS[b][k],
                finish_reason=REASONS[b][k],
            )
            for k in range(3)
        ),
        policy_version=step - 1,
    )
