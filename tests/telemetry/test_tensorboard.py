import io
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ray_iqa.telemetry.tensorboard import TensorBoardLog
from ray_iqa.types import StepRecord

MakeStep = Callable[[int, dict[str, float]], StepRecord]


def _read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0, "images": 0, "tensors": 0})
    return events.Reload()


def _write(folder: Path, make_step: MakeStep, steps: range, value: float, restored: int = 0) -> None:
    log = TensorBoardLog(folder, restored)
    for step in steps:
        validation = {"eval/srcc": 0.5} if step % 2 == 0 else {}
        metrics = {"reward/mean": value, "pairs/label_gap": math.nan} | validation
        log.log(step, metrics, make_step(step, metrics))
    log.close()


@pytest.fixture
def written(tmp_path: Path, make_step: MakeStep) -> EventAccumulator:
    _write(tmp_path / "tensorboard", make_step, range(1, 4), 1.0)
    return _read(tmp_path / "tensorboard")


def test_scalars_keep_their_names_and_what_is_not_finite_is_left_out(written: EventAccumulator) -> None:
    assert written.Tags()["scalars"] == ["reward/mean", "eval/srcc"]
    assert [(event.step, event.value) for event in written.Scalars("reward/mean")] == [(1, 1.0), (2, 1.0), (3, 1.0)]


def test_a_step_is_in_the_file_before_a_checkpoint_can_take_it_along(tmp_path: Path, make_step: MakeStep) -> None:
    log = TensorBoardLog(tmp_path, 0)
    for step in range(1, 30):
        metrics = {"reward/mean": 1.0, **{f"n{i}": 0.0 for i in range(50)}}
        log.log(step, metrics, make_step(step, {"reward/mean": 1.0}))
        assert _read(tmp_path).Scalars("n49")[-1].step == step  # while the log stays open
    log.close()


def test_histogram_holds_parsed_scores_only(written: EventAccumulator) -> None:
    histogram = written.Histograms("scores")[0].histogram_value
    assert (histogram.num, histogram.min, histogram.max, histogram.sum) == (4, 2.0, 5.0, 14.5)


def test_examples_come_with_validation_as_picture_and_answers(written: EventAccumulator) -> None:
    assert written.Tags()["images"] == ["examples/0", "examples/1"]
    (event,) = written.Images("examples/0")
    assert event.step == 2
    assert Image.open(io.BytesIO(event.encoded_image_string)).size == (256, 128)
    (text,) = written.Tensors("examples/1/text_summary")
    caption = text.tensor_proto.string_val[0].decode()
    assert "set-1 / image-1" in caption
    assert "MOS 10.5 (lower is better)" in caption
    assert "score 5.00, reward 1.25:\n\n    5" in caption
    assert "no score:\n\n    <answer>4" in caption


def test_a_picture_that_is_gone_leaves_its_answers(tmp_path: Path, make_step: MakeStep) -> None:
    record = make_step(1, {"eval/srcc": 0.5})
    Path(record.groups[0].image.image_path).unlink()
    log = TensorBoardLog(tmp_path, 0)
    log.log(1, record.metrics, record)
    log.close()
    assert _read(tmp_path).Tags()["images"] == ["examples/1"]
    assert "examples/0/text_summary" in _read(tmp_path).Tags()["tensors"]


def test_resume_purges_every_kind_of_event_after_the_restored_step(tmp_path: Path, make_step: MakeStep) -> None:
    folder = tmp_path / "tensorboard"
    _write(folder, make_step, range(1, 6), 1.0)
    _write(folder, make_step, range(3, 6), 2.0, restored=2)  # within the same second: file names must not collide
    events = _read(folder)
    assert [(event.step, event.value) for event in events.Scalars("reward/mean")] == [
        (1, 1.0),
        (2, 1.0),
        (3, 2.0),
        (4, 2.0),
        (5, 2.0),
    ]
    assert [event.step for event in events.Histograms("scores")] == [1, 2, 3, 4, 5]
    assert [event.step for event in events.Images("examples/0")] == [2, 4]
    # The reader behind TensorBoard's own pages has other rules for purging; it holds everything as tensors.
    shown = plugin_event_accumulator.EventAccumulator(str(folder)).Reload()
    for name, steps in {"reward/mean": [1, 2, 3, 4, 5], "scores": [1, 2, 3, 4, 5], "examples/0": [2, 4]}.items():
        assert [event.step for event in shown.Tensors(name)] == steps
    assert [event.step for event in shown.Tensors("examples/0/text_summary")] == [2, 4]


def test_a_resumed_run_without_new_steps_shows_none_after_the_restored_one(tmp_path: Path, make_step: MakeStep) -> None:
    folder = tmp_path / "tensorboard"
    _write(folder, make_step, range(1, 4), 1.0)
    _write(folder, make_step, range(1, 2), 2.0, restored=0)
    assert [(event.step, event.value) for event in _read(folder).Scalars("reward/mean")] == [(1, 2.0)]
