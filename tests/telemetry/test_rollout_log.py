from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ray_iqa.answers.parse import parse_by_question
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.telemetry.rollout_log import RolloutLog
from ray_iqa.types import StepRecord

MakeStep = Callable[[int, dict[str, float]], StepRecord]

PARSE = partial(parse_by_question, prompts={None: prompt_by_id("thinking")}, style="strict")


@pytest.fixture
def log(tmp_path: Path) -> RolloutLog:
    return RolloutLog(tmp_path / "rollouts", PARSE)


def test_one_line_of_pandas_reads_every_rollout(tmp_path: Path, log: RolloutLog, make_step: MakeStep) -> None:
    log.log(make_step(1, {}))
    log.log(make_step(12, {}))
    rows = pd.read_parquet(tmp_path / "rollouts").sort_values(["step", "image_id", "k"], ignore_index=True)
    assert len(rows) == 2 * 2 * 3
    assert list(rows.step) == [1] * 6 + [12] * 6
    second = rows.iloc[1]
    assert (second.dataset, second.image_id, second.k, second.mos) == ("set-0", "image-0", 1, 0.0)
    assert (second.text, second.finish_reason, second.num_tokens) == ("b <answer>3.5</answer>", "stop", 3)
    assert (second.score, second.fidelity, second.format) == (3.5, 0.4375, 1.0)
    assert (second.reward, second.advantage, second.policy_version) == (0.875, -1.5, 0)
    assert rows.image_path[3] == str(tmp_path / "picture-1.png")


def test_unparsed_rollouts_have_a_reason_and_no_score(tmp_path: Path, log: RolloutLog, make_step: MakeStep) -> None:
    log.log(make_step(1, {}))
    rows = pd.read_parquet(tmp_path / "rollouts")
    assert list(rows.parsed) == [True, True, False, True, False, True]
    assert list(rows.score.isna()) == [False, False, True, False, True, False]
    assert list(rows.parse_failure.isna()) == [True, True, False, True, False, True]
    assert list(rows.trainable) == [True, True, True, True, False, True]
    assert np.isfinite(rows.score[rows.parsed]).all()


def test_an_image_without_answers_has_its_reason(tmp_path: Path, log: RolloutLog, make_step: MakeStep) -> None:
    record = make_step(1, {})
    failed = replace(record.groups[1], problem="b.png: no such image file")
    log.log(replace(record, groups=(record.groups[0], failed)))
    rows = pd.read_parquet(tmp_path / "rollouts")
    assert list(rows.parse_failure[~rows.parsed & (rows.image_id == "image-1")]) == ["b.png: no such image file"]


def test_scores_that_did_not_parse_are_null_and_not_nan(tmp_path: Path, log: RolloutLog, make_step: MakeStep) -> None:
    log.log(make_step(1, {}))
    table = pa.parquet.read_table(tmp_path / "rollouts" / "step-000001.parquet")
    assert table["score"].to_pylist() == [2.0, 3.5, None, 4.0, None, 5.0]


def test_resume_removes_later_steps_and_interrupted_writes(
    tmp_path: Path, log: RolloutLog, make_step: MakeStep
) -> None:
    for step in (1, 2, 3):
        log.log(make_step(step, {}))
    folder = tmp_path / "rollouts"
    (folder / ".step-000004.parquet.partial").write_bytes(b"PAR1")
    assert set(pd.read_parquet(folder).step) == {1, 2, 3}  # the half file does not disturb readers
    log.remove_after(2)
    assert sorted(path.name for path in folder.iterdir()) == ["step-000001.parquet", "step-000002.parquet"]


def test_only_the_newest_steps_are_kept_on_request(tmp_path: Path, make_step: MakeStep) -> None:
    log = RolloutLog(
        tmp_path / "rollouts",
        PARSE,
        keep=2,
    )
    for step in (1, 2, 3, 12):
        log.log(make_step(step, {}))
        newest = {1: {1}, 2: {1, 2}, 3: {2, 3}, 12: {12}}[step]
        assert set(pd.read_parquet(tmp_path / "rollouts").step) == newest
