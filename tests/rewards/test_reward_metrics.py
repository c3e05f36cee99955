import math
from dataclasses import replace

import numpy as np
import pytest

from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.reward import RewardConfig
from ray_iqa.grpo.advantages import group_relative_advantages
from ray_iqa.rewards.metrics import reward_metrics
from ray_iqa.rewards.scorer import GroupRewardScorer
from ray_iqa.types import Completion, LabelledImage, RolloutGroup


def group(answers: list[object], mos: float, dataset: str, finish_reasons: list[str]) -> RolloutGroup:
    image = LabelledImage(image_id="i", image_path="i", dataset=dataset, mos=mos, mos_std=None, higher_is_better=True)
    completions = tuple(
        Completion(
            token_ids=np.zeros(10 * (k + 1), dtype=np.int32),
            logprobs=np.zeros(10 * (k + 1), dtype=np.float32),
            text=f"<think>a</think><answer>{answer}</answer>",
            finish_reason=reason,
        )
        for k, (answer, reason) in enumerate(zip(answers, finish_reasons, strict=True))
    )
    prompt = np.zeros(1, dtype=np.int32)
    return RolloutGroup(image=image, prompt_token_ids=prompt, completions=completions, policy_version=0)


def metrics(groups: list[RolloutGroup]) -> dict[str, float]:
    table = GroupRewardScorer(RewardConfig(), {None: prompt_by_id("thinking")}).score(groups)
    return reward_metrics(groups, table, group_relative_advantages(table.rewards, table.trainable))


def test_a_mixed_step() -> None:
    row = metrics(
        [
            group([4.0, 4.0, "?"], 4.0, "d", ["stop", "stop", "length"]),
            group([2.0, 2.0, 2.0], 2.0, "d", ["stop", "stop", "stop"]),
            group([3.0, 3.2, 3.4], 3.0, "lonely", ["stop", "stop", "abort"]),
        ]
    )
    # Perfect order with floors earns 1.001; five of six with an opponent do, one does not parse. The two of the lonely
    # image that were not aborted have their format reward.
    assert row["reward/mean"] == pytest.approx((5 * 2.001 + 2) / 8, abs=1e-5)
    assert row["reward/fidelity"] == pytest.approx(5 * 1.001 / 6, abs=1e-5)
    assert row["reward/format"] == row["reward/parse_rate"] == pytest.approx(7 / 8)
    assert row["score/mean"] == pytest.approx((4 + 2 + 3.1) / 3)
    assert row["score/std_between_images"] == pytest.approx(np.std([4, 2, 3.1], ddof=1))
    assert row["group/score_std"] == pytest.approx(math.sqrt(0.02) / 3)
    assert row["group/zero_advantage_fraction"] == pytest.approx(2 / 3)
    assert row["group/no_opponent"] == 1
    assert row["pairs/count"] == 1
    assert row["pairs/label_gap"] == 1
    assert row["completion/length_mean"] == pytest.approx(150 / 8)
    assert row["completion/length_max"] == 30
    assert row["completion/truncated_fraction"] == pytest.approx(1 / 8)
    assert row["completion/tokens"] == 180


def test_an_image_without_any_answer_is_counted_and_leaves_the_others_alone() -> None:
    sound = [
        group([4.0, 4.1], 4.0, "d", ["stop", "stop"]),
        group([2.0, 2.1], 2.0, "d", ["stop", "stop"]),
    ]
    nothing = replace(
        group([], 3.0, "d", []),
        completions=(replace(sound[0].completions[0], token_ids=np.zeros(0, np.int32), finish_reason="abort"),) * 2,
        problem="gone.png: no such image file",
    )
    row, alone = metrics([sound[0], nothing, sound[1]]), metrics(sound)
    assert (row.pop("group/failed"), alone.pop("group/failed")) == (1.0, 0.0)
    assert row == pytest.approx(alone, nan_ok=True)


def test_a_step_of_nothing_is_numbers_or_nan() -> None:
    row = metrics([group(["?", "?"], 4.0, "d", ["abort", "abort"])])
    assert row["group/no_opponent"] == 0  # nobody asked for one
    assert row["completion/tokens"] == 30
    assert math.isnan(row["reward/mean"])
    assert all(isinstance(value, float) for value in row.values())
