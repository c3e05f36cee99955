from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.reward import RewardConfig
from ray_iqa.errors import ConfigError
from ray_iqa.rewards.scorer import GroupRewardScorer
from ray_iqa.types import Completion, LabelledImage, RewardTable, RolloutGroup

THINKING = {None: prompt_by_id("thinking")}


def completion(answer: object, finish_reason: str = "stop") -> Completion:
    text = f"<think>a</think><answer>{answer}</answer>"
    ids = np.arange(4, dtype=np.int32)
    return Completion(token_ids=ids, logprobs=-ids.astype(np.float32), text=text, finish_reason=finish_reason)


def group(answers: list[object], mos: float, dataset: str = "d", *, higher_is_better: bool = True) -> RolloutGroup:
    image = LabelledImage(
        image_id=f"{dataset}-{mos}",
        image_path="i.png",
        dataset=dataset,
        mos=mos,
        mos_std=None,
        higher_is_better=higher_is_better,
    )
    return RolloutGroup(
        image=image,
        prompt_token_ids=np.zeros(3, dtype=np.int32),
        completions=tuple(completion(answer) for answer in answers),
        policy_version=0,
    )


A, B, C = [3.2, 3.5, "3.0", 3.6], [2.0, 2.4, 2.2, 2.6], [3.4] * 4


def score(groups: list[RolloutGroup], config: RewardConfig | None = None) -> RewardTable:
    return GroupRewardScorer(config or RewardConfig(), THINKING, {"d": (1.0, 5.0), "e": (1.0, 5.0)}).score(groups)


def test_reference_table() -> None:
    table = score([group(A, 3.8), group(B, 2.1), group(C, 3.8)])
    np.testing.assert_allclose(table.terms["fidelity"][0], [0.978792, 0.995162, 0.928488, 0.980864], atol=6e-7)
    np.testing.assert_allclose(table.rewards, table.terms["fidelity"] + 1, atol=1e-6)
    assert table.parsed.all()
    assert table.trainable.all()
    assert (table.num_pairs, table.mean_label_gap) == (3, pytest.approx(2 / 3))  # gaps 1, 1, 0 of the range
    assert {values.dtype for values in (table.scores, table.rewards, *table.terms.values())} == {np.dtype(np.float32)}


def test_a_parse_failure_earns_nothing_stays_trainable_and_changes_nobody() -> None:
    table = score([group(A, 3.8), group(B, 2.1), group([*C[:3], "7"], 3.8)])
    all_read = score([group(A, 3.8), group(B, 2.1), group(C, 3.8)])  # same moments: the scores of C never vary
    assert np.isnan(table.scores[2, 3])
    assert not table.parsed[2, 3]
    assert table.trainable[2, 3]
    assert table.rewards[2, 3] == table.terms["format"][2, 3] == table.terms["fidelity"][2, 3] == 0
    np.testing.assert_array_equal(table.rewards[:2], all_read.rewards[:2])
    np.testing.assert_array_equal(table.rewards[2, :3], all_read.rewards[2, :3])


def test_format_is_weighted_and_can_be_lost_alone() -> None:
    spoken = replace(group(A, 3.8), completions=(replace(completion(3.2), text="so <answer>3.2</answer>"),) * 4)
    table = score(
        [spoken, group(B, 2.1)], RewardConfig(terms=[{"term": "fidelity"}, {"term": "format", "weight": 0.25}])
    )
    np.testing.assert_allclose(table.rewards[0], table.terms["fidelity"][0])
    assert table.terms["fidelity"][0].min() > 0.9
    np.testing.assert_allclose(table.rewards[1], table.terms["fidelity"][1] + 0.25, atol=1e-6)


def test_an_aborted_completion_leaves_the_update_and_the_moments() -> None:
    groups = [group([*B, 5.0], 2.1), group([*A, 1.0], 3.8)]
    for i in (0, 1):
        kept = groups[i].completions[:4]
        groups[i] = replace(groups[i], completions=(*kept, replace(groups[i].completions[4], finish_reason="abort")))
    table = score(groups)
    assert table.trainable.tolist() == [[True] * 4 + [False]] * 2
    np.testing.assert_allclose(table.rewards[:, :4], score([group(B, 2.1), group(A, 3.8)]).rewards)
    assert not table.rewards[:, 4].any()


def test_an_image_without_opponent_is_trained_on_its_format_alone() -> None:
    table = score([group(A, 3.8), group(B, 2.1), group([3.4, "?", 3.4, 3.4], 3.8, "e")])
    assert table.trainable.all()
    assert table.opposed.tolist() == [True, True, False]
    assert np.isnan(table.terms["fidelity"][2]).all()
    assert table.rewards[2].tolist() == [1, 0, 1, 1]
    unread = score([group(A, 3.8), group(["?", "?", "?", 2.0], 2.1)])  # one readable score is no opponent
    assert unread.opposed.tolist() == [False, True]
    assert unread.rewards[0].tolist() == [1] * 4
    assert unread.num_pairs == 1
    nobody = score([group(["?"] * 4, 3.8), group(["?"] * 4, 2.1)])
    assert nobody.trainable.all()
    assert not nobody.opposed.any()
    assert not nobody.rewards.any()
    assert nobody.num_pairs == 0
    assert np.isnan(nobody.mean_label_gap)
    assert score([]).rewards.shape == (0, 0)


def test_lower_is_better_labels_mirror() -> None:
    mos = score([group(A, 3.8), group(B, 2.1), group(C, 3.0)])
    dmos = score(
        [group(answers, 100 - 10 * value, higher_is_better=False) for answers, value in ((A, 3.8), (B, 2.1), (C, 3.0))]
    )
    np.testing.assert_allclose(dmos.rewards, mos.rewards)
    assert dmos.mean_label_gap == pytest.approx(mos.mean_label_gap)


def test_the_floors_are_those_of_the_section() -> None:
    groups = [group([3.6, 3.6], 3.8), group([3.5, 3.5], 2.1)]  # 0.1 apart over a spread of 0.1: one sigma
    table = score(groups, RewardConfig(variance_floor=0.01, fidelity_floor=0.0))
    np.testing.assert_allclose(table.terms["fidelity"], np.sqrt(0.8413447460685429), atol=1e-6)


def test_pairing_block_limits_comparisons() -> None:
    groups = [group([1 + i / 10, 1.1 + i / 10], float(i)) for i in range(6)]
    assert score(groups).num_pairs == 15
    assert score(groups, RewardConfig(pairing_block=3)).num_pairs == 6


def test_published_parser_takes_what_strict_refuses() -> None:
    groups = [group(["4/5", 4.0], 3.8), group([2.0, 2.1], 2.1)]
    assert not score(groups).parsed[0, 0]
    published = score(groups, RewardConfig(parser="published"))
    assert published.scores[0, 0] == 4
    assert published.rewards[0, 0] > 1.9


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("binary", [1.0, 1.0]),
        ("threshold", [1.0, 0.0]),
        ("gaussian_difference", [np.exp(-0.5 * 0.1**2), np.exp(-0.5 * 0.9**2)]),
        ("probability_average", [1.001, 1.001]),
        ("fixed_variance", [np.sqrt(0.9123) + 1e-3, np.sqrt(0.9750) + 1e-3]),
    ],
)
def test_the_other_rewards(kind: str, expected: list[float]) -> None:
    groups = [group([3.9, 4.7], 3.8), group([1.99, 2.01], 2.0)]
    table = score(groups, RewardConfig(type=kind))  # as configurations of 0.2 have it
    np.testing.assert_allclose(table.terms[kind][0], expected, atol=5e-3)
    np.testing.assert_allclose(table.rewards, table.terms[kind] + table.terms["format"], atol=1e-6)
    assert table.trainable.all()


def test_threshold_compares_no_images() -> None:
    table = score([group([3.9, 1.0], 3.8)], RewardConfig(terms=[{"term": "threshold"}]))
    assert table.terms["threshold"].tolist() == [[1.0, 0.0]]
    assert table.trainable.all()
    assert table.num_pairs == 0


@pytest.mark.parametrize("kind", ["threshold", "gaussian_difference"])
def test_rewards_that_read_labels_need_their_ranges(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"the reward term {kind} needs the label range"):
        GroupRewardScorer(RewardConfig(terms=[{"term": kind}]), THINKING)


@given(st.permutations(range(5)))
def test_the_order_of_groups_does_not_matter(order: list[int]) -> None:
    groups = [
        group(A, 3.8),
        group(B, 2.1, "e"),
        group(C, 3.8, "e"),
        group([1, "?", 2, 2.5], 1.2),
        group(["?"] * 4, 4.0),
    ]
    straight, permuted = score(groups), score([groups[i] for i in order])
    for name in ("scores", "parsed", "rewards", "trainable", "opposed"):
        np.testing.assert_allclose(getattr(permuted, name), getattr(straight, name)[order], atol=1e-6)
    for name, values in straight.terms.items():
        np.testing.assert_allclose(permuted.terms[name], values[order], atol=1e-6)
    assert permuted.num_pairs == straight.num_pairs
    assert permuted.mean_label_gap == pytest.approx(straight.mean_label_gap)


def test_scenes_with_scales_of_their_own_are_rewarded_apart() -> None:
    def of_scene(scene: str) -> list[RolloutGroup]:
        groups = [group(A, 3.8), group(B, 2.1), group(C, 3.0)]
        return [replace(each, image=replace(each.image, scene_id=scene)) for each in groups]

    alone, both = score(of_scene("x")), score([*of_scene("x"), *of_scene("y")])
    np.testing.assert_array_equal(both.rewards, np.concatenate([alone.rewards, alone.rewards]))
    assert (alone.num_pairs, both.num_pairs) == (3, 6)
    assert both.mean_label_gap == pytest.approx(alone.mean_label_gap)
