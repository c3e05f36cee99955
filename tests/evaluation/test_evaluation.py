import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.evaluation.validation import (
    PolicyEvaluator,
    evaluate_groups,
    format_side_by_side,
    select_images,
)
from ray_iqa.protocols import Evaluator
from ray_iqa.types import Completion, EvaluationReport, LabelledImage, RolloutGroup, SamplingSpec

PROMPT = prompt_by_id("non-thinking")
SPEC = SamplingSpec(num_completions=2, temperature=1.0, top_k=0, top_p=1.0, max_tokens=8, seed=5)


def _image(dataset: str, index: int, mos: float, higher_is_better: bool = True) -> LabelledImage:
    return LabelledImage(
        image_id=f"{dataset}-{index}",
        image_path=f"/{index}.png",
        dataset=dataset,
        mos=mos,
        mos_std=None,
        higher_is_better=higher_is_better,
    )


def _group(image: LabelledImage, *scores: float | None) -> RolloutGroup:
    return RolloutGroup(
        image=image,
        prompt_token_ids=np.arange(3, dtype=np.int32),
        completions=tuple(
            Completion(
                token_ids=np.arange(2, dtype=np.int32),
                logprobs=np.zeros(2, dtype=np.float32),
                text="I cannot tell" if score is None else f"<answer>{score:.4f}</answer>",
                finish_reason="stop",
            )
            for score in scores
        ),
        policy_version=0,
    )


def _noisy_groups(dataset: str, higher_is_better: bool) -> tuple[list[RolloutGroup], np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    quality = random.uniform(0, 1, 40)
    scores = np.round(1 + 4 * np.clip(quality[:, None] + random.normal(0, 0.2, (40, 3)), 0, 1), 4)
    mos = 100 * quality if higher_is_better else 100 - 100 * quality
    groups = [_group(_image(dataset, i, mos[i], higher_is_better), *scores[i]) for i in range(40)]
    return groups, scores.mean(axis=1), quality


def test_correlations_are_those_of_mean_scores_with_labels() -> None:
    groups, predicted, quality = _noisy_groups("a", higher_is_better=True)
    (report,) = evaluate_groups(groups, PROMPT)
    assert report.srcc == pytest.approx(spearmanr(predicted, quality).statistic, abs=1e-9)
    assert report.plcc == pytest.approx(pearsonr(predicted, quality).statistic, abs=1e-9)
    assert report.srcc_interval[0] < report.srcc < report.srcc_interval[1]
    assert report.plcc_interval[0] < report.plcc < report.plcc_interval[1]
    assert report.score_std == pytest.approx(np.std(predicted, ddof=1))
    on_1_to_5 = 1 + 4 * (quality - quality.min()) / np.ptp(quality)
    assert report.mos_std == pytest.approx(np.std(on_1_to_5, ddof=1))
    assert (report.num_images, report.num_failed, report.parse_failure_rate) == (40, 0, 0.0)


def test_lower_is_better_labels_give_the_same_report() -> None:
    up, down = (evaluate_groups(_noisy_groups("a", better)[0], PROMPT)[0] for better in (True, False))
    assert up.srcc == pytest.approx(down.srcc)
    assert up.plcc == pytest.approx(down.plcc)
    assert up.mos_std == pytest.approx(down.mos_std)
    assert up.srcc > 0.8


def test_an_image_that_nobody_could_look_at_failed_and_answered_nothing() -> None:
    groups = [_group(_image("a", i, 10.0 * i), 1.0 + i, 1.0 + i) for i in range(4)]
    aborted = replace(groups[2].completions[0], text="", finish_reason="abort")
    failed = replace(groups[2], completions=(aborted, aborted), problem="2.png: no such image file")
    (report,) = evaluate_groups([*groups[:2], failed, groups[3]], PROMPT)
    assert (report.num_images, report.num_failed, report.parse_failure_rate, report.srcc) == (4, 1, 0.0, 1.0)
    (report,) = evaluate_groups([failed], PROMPT)
    assert report.num_failed == 1
    assert math.isnan(report.parse_failure_rate)


def test_images_without_a_parsed_answer_are_counted_and_left_out() -> None:
    labels = [10.0, 20.0, 30.0, 40.0]
    scores: list[tuple[float | None, ...]] = [(1.0, None), (2.0, 2.0), (3.0, 4.0), (None, None)]
    groups = [_group(_image("a", i, mos), *row) for i, (mos, row) in enumerate(zip(labels, scores, strict=True))]
    (report,) = evaluate_groups(groups, PROMPT)
    assert (report.num_images, report.num_failed) == (4, 1)
    assert report.parse_failure_rate == 3 / 8
    assert report.srcc == 1.0
    assert report.plcc == pytest.approx(pearsonr([1.0, 2.0, 3.5], [10.0, 20.0, 30.0]).statistic)


@pytest.mark.parametrize("scores", [[(None,), (None,), (None,)], [(2.0,), (None,), (None,)], [(2.0,), (2.0,), (2.0,)]])
def test_a_correlation_that_does_not_exist_is_nan(scores: list[tuple[float | None]]) -> None:
    (report,) = evaluate_groups([_group(_image("a", i, float(i)), *row) for i, row in enumerate(scores)], PROMPT)
    assert math.isnan(report.srcc)
    assert math.isnan(report.plcc)


def test_datasets_are_reported_apart_and_by_name() -> None:
    groups = [_group(_image(name, i, mos), 1.0 + i) for name, mos in (("b", 1.0), ("a", 900.0)) for i in range(3)]
    groups = [
        _group(_image(group.image.dataset, i, group.image.mos + i % 3), 1.0 + i % 3) for i, group in enumerate(groups)
    ]
    reports = evaluate_groups(groups, PROMPT)
    assert [(report.dataset, report.num_images, report.srcc) for report in reports] == [("a", 3, 1.0), ("b", 3, 1.0)]


def test_published_parsing_is_asked_for_by_name() -> None:
    groups = [_group(_image("a", i, float(i)), 6.0 + i) for i in range(3)]  # outside the prompt's scale
    assert evaluate_groups(groups, PROMPT)[0].num_failed == 3
    assert evaluate_groups(groups, PROMPT, "published")[0].srcc == 1.0


class _LabelReader:
    """Answers with each image's label, perfectly; `protocols.Sampler`."""

    def sample(self, images: Sequence[LabelledImage], spec: SamplingSpec) -> list[RolloutGroup]:
        return [_group(image, *[image.mos] * spec.num_completions) for image in images]


def test_policy_evaluator_averages_datasets_not_images() -> None:
    images = [_image("up", i, 1.0 + i / 4) for i in range(9)]
    images += [_image("down", i, 1.0 + i, higher_is_better=False) for i in range(3)]
    evaluator: Evaluator = PolicyEvaluator(_LabelReader(), images, SPEC, PROMPT)
    row = evaluator.evaluate()
    assert (row["eval/up/srcc"], row["eval/down/srcc"], row["eval/srcc"]) == (1.0, -1.0, 0.0)
    assert row["eval/up/plcc"] == pytest.approx(1.0)
    assert row["eval/down/parse_failure_rate"] == 0.0


def test_one_dataset_without_correlation_leaves_no_mean() -> None:
    images = [_image("a", i, 1.0 + i) for i in range(4)] + [_image("b", i, 3.0) for i in range(4)]
    row = PolicyEvaluator(_LabelReader(), images, SPEC, PROMPT).evaluate()
    assert row["eval/a/srcc"] == 1.0
    assert math.isnan(row["eval/srcc"])


def test_selection_depends_on_image_ids_only() -> None:
    images = [_image(name, i, float(i)) for name in ("a", "b") for i in range(50)]
    chosen = select_images(images, 10)
    assert [image.dataset for image in chosen] == ["a"] * 10 + ["b"] * 10
    assert select_images(images[::-1], 10) == chosen
    assert chosen != images[:10] + images[50:60]
    fewer = [image for image in images if image not in chosen[3:7]]
    kept = [image for image in chosen if image in fewer]
    assert [image for image in select_images(fewer, 10) if image in chosen] == kept  # removing some promotes others
    assert sorted(select_images(images, None), key=lambda image: image.image_id) == sorted(
        images, key=lambda image: image.image_id
    )


def _made_up(dataset: str, srcc: float) -> EvaluationReport:
    return EvaluationReport(
        dataset=dataset,
        num_images=600,
        num_failed=3,
        num_contents=15,
        srcc=srcc,
        srcc_interval=(srcc - 0.05, srcc + 0.04),
        plcc=-0.1234,
        plcc_interval=(-0.2, 0.01),
        parse_failure_rate=0.0125,
        score_std=math.nan,
        mos_std=1.1,
    )


def test_reports_show_intervals_and_what_does_not_exist() -> None:
    reports = [_made_up("koniq", 0.8127), _made_up("spaq-long-name", math.nan)]
    lines = format_side_by_side({"": reports}).splitlines()
    assert "597 of 600" in lines[2]
    assert "+0.813 [+0.763, +0.853]" in lines[2]
    assert "-0.123 [-0.200, +0.010]" in lines[2]
    assert "1.2 %" in lines[2]
    assert "- / 1.10" in lines[2]
    assert lines[3].split()[4:6] == ["-", "-0.123"]
    assert lines[4] == "Intervals over contents: 15 of koniq, 15 of spaq-long-name."
    assert lines[5] == "koniq: Few contents (15, below 20): intervals are rough."
    assert len(lines) == 7
    assert max(map(len, lines)) <= 110


def test_before_and_after_stand_below_each_other_per_dataset() -> None:
    before = [_made_up("a", 0.05), _made_up("b", -0.03), _made_up("dropped", 0.5)]
    after = [_made_up("b", 0.81), _made_up("a", 0.77)]
    rows = [line.split() for line in format_side_by_side({"before": before, "after": after}).splitlines()[2:6]]
    assert [row[:2] for row in rows] == [["a", "before"], ["after", "597"], ["b", "before"], ["after", "597"]]
    assert [next(cell for cell in row if cell[0] in "+-") for row in rows] == ["+0.050", "+0.770", "-0.030", "+0.810"]


def test_labels_of_scenes_are_never_pooled() -> None:
    """Inside every scene the order is perfect; pooled over scenes, whose labels have scales of their own, it is not."""
    groups = [
        _group(replace(_image("a", 10 * scene + i, i + 50.0 * scene), scene_id=f"{scene}"), 1.0 + 0.5 * i - 0.1 * scene)
        for scene in range(3)
        for i in range(5)
    ]
    (report,) = evaluate_groups(groups, PROMPT)
    assert (report.srcc, report.num_contents) == (1.0, 3)
    assert np.isnan(report.srcc_interval).all()  # of three scenes
    assert report.plcc == pytest.approx(1.0)
    (pooled,) = evaluate_groups([replace(g, image=replace(g.image, scene_id=None)) for g in groups], PROMPT)
    assert pooled.srcc < 0.5


def test_versions_of_one_content_are_drawn_together() -> None:
    groups, _, _ = _noisy_groups("a", higher_is_better=True)
    ordered = [
        replace(group, image=replace(group.image, image_id=f"{place}-{copy}"))
        for place, group in enumerate(sorted(groups, key=lambda group: group.image.mos))
        for copy in range(5)
    ]
    together = [
        replace(group, image=replace(group.image, content=str(place // 5))) for place, group in enumerate(ordered)
    ]
    (alone,), (report,) = evaluate_groups(ordered, PROMPT), evaluate_groups(together, PROMPT)
    assert report.srcc == alone.srcc
    width = report.srcc_interval[1] - report.srcc_interval[0]
    assert (alone.num_contents, report.num_contents) == (200, 40)
    assert width > 1.8 * (alone.srcc_interval[1] - alone.srcc_interval[0])  # five copies say nothing new
