"""Sources of annotation, and what becomes of a policy's answers."""

import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.pictures import PicturesConfig
from ray_iqa.data.manifest import write_rows
from ray_iqa.data.rows import ManifestRow
from ray_iqa.errors import ConfigError, DataError
from ray_iqa.rali.annotations.pictures import AnnotatedImage, read_pictures
from ray_iqa.rali.annotations.records import ReasoningRecord
from ray_iqa.rali.annotations.verdicts import embed_texts, records_of_group
from ray_iqa.rali.model.encoders import Clip
from ray_iqa.types import Completion, RolloutGroup

IMAGE = AnnotatedImage(image_id="1", image_path="/1.png", dataset="d", content="1", mos=30.0, mapped_mos=3.0)


def records(*texts: str, num_texts: int, problem: str | None = None) -> list[ReasoningRecord]:
    none = np.zeros(0, np.int32)
    group = RolloutGroup(
        image=IMAGE.for_sampler(),
        prompt_token_ids=none,
        completions=tuple(
            Completion(token_ids=none, logprobs=none.astype(np.float32), text=text, finish_reason="stop")
            for text in texts
        ),
        policy_version=7,
        problem=problem,
    )
    return records_of_group(IMAGE, group, prompt_by_id("thinking"), num_texts)


def test_texts_are_the_first_usable_and_all_scores_count() -> None:
    found = records(
        "<think>It is soft. I rate it 2.5.</think><answer>2.50</answer>",
        "<think>rambling",
        "<think>Blurred.</think><answer>1.00</answer>",
        "<think>Grainy.</think><answer>4.00</answer>",
        num_texts=2,
    )
    assert [record.reasoning for record in found] == ["It is soft.", "Blurred."]
    assert [record.text_index for record in found] == [0, 1]
    assert {record.status for record in found} == {"ok"}
    assert {record.teacher_score for record in found} == {2.5}
    assert found[0].teacher_score_std == pytest.approx(1.5)
    assert {(record.mos, record.mapped_mos, record.policy_version) for record in found} == {(30.0, 3.0, 7)}


def test_a_row_without_a_text_says_why_and_keeps_the_score() -> None:
    found = records("<think>Fine.</think><answer>3.00</answer>", "<think>Fine.</think><answer>9</answer>", num_texts=2)
    assert [record.status for record in found] == ["ok", "failed"]
    assert found[1].reasoning is None
    assert found[1].reason == "no text: 9 is outside 1 to 5"
    assert found[1].teacher_score == 3.0
    assert found[1].teacher_score_std is None
    [empty] = records("<think>Score 3/5.</think><answer>3.00</answer>", num_texts=1)
    assert empty.reason == "no text: the reasoning is empty"


def test_embeddings_are_those_of_the_tower_and_truncation_is_recorded(small_clip: Clip) -> None:
    long = " ".join(f"Sentence number {word} tells of grain." for word in ("one", "two", "three") * 8)
    answers = [f"<think>{text}</think><answer>3.00</answer>" for text in ("looks noisy", long, "looks noisy")]
    short, cut, same, failed = embed_texts(
        [*records(*answers, num_texts=3), *records(num_texts=3, problem="broken")], small_clip.text, "small"
    )
    assert np.allclose(short.text_embeddings, small_clip.text.embeddings(["looks noisy"]))
    assert same.text_embeddings == short.text_embeddings
    assert (short.truncated, short.training_texts, short.text_encoder) == (False, ["looks noisy"], "small")
    assert cut.truncated
    assert cut.num_tokens is not None
    assert cut.num_tokens > 77
    assert len(cut.training_texts) == len(cut.text_embeddings) > 1
    assert (failed.status, failed.reason, failed.text_embeddings) == ("failed", "broken", [])


def row(image_id: str, mos: float, **other: object) -> ManifestRow:
    fields = {"dataset": "d", "path": f"{image_id}.png", "direction": "lower", "split": "train"} | other
    return ManifestRow(image_id=image_id, mos=mos, **fields)  # type: ignore[arg-type]


def read(*sources: Path, **other: object) -> list[AnnotatedImage]:
    config = PicturesConfig.model_validate({"sources": [str(file) for file in sources], **other})
    return [AnnotatedImage(**row) for row in read_pictures(config).to_pylist()]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_labels_map_by_the_scale_or_else_by_the_extremes(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"m.{suffix}"
    rows = [row("a", 10.0), row("b", 30.0), row("t", 50.0, split="test")]
    write_rows(file, rows)
    assert [(image.image_id, image.mapped_mos) for image in read(file)] == [("a", 5.0), ("b", 3.0)]
    assert read(file)[0].image_path == str(tmp_path / "a.png")
    assert math.isnan(read(file)[0].for_sampler().mos)
    write_rows(file, [ManifestRow(**{**asdict(each), "scale_min": 0.0, "scale_max": 100.0}) for each in rows])
    assert [image.mapped_mos for image in read(file, split=None)] == pytest.approx([4.6, 3.8, 3.0])


def test_lists_and_folders_have_no_labels(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,image_id\nx/1.png,one\n/2.png,\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "3.png").touch()
    found = read(tmp_path / "list.csv", tmp_path / "folder", dataset="mine")
    assert [image.image_id for image in found] == ["one", "/2.png", str(tmp_path / "folder" / "3.png")]
    assert found[0].image_path == str(tmp_path / "x" / "1.png")
    assert {(image.dataset, image.mos, image.mapped_mos) for image in found} == {("mine", None, None)}


def test_a_limit_keeps_its_choice_when_pictures_are_added(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    write_rows(file, [row(str(number), float(number)) for number in range(40)])
    few, more = read(file, max_per_dataset=10), read(file, max_per_dataset=20)
    assert len(few) == 10
    assert {image.image_id for image in few} < {image.image_id for image in more}


def test_what_is_wrong_with_sources_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no '.*nowhere\.csv'"):
        read(tmp_path / "nowhere.csv")
    (tmp_path / "list.jsonl").write_text('{"file": "x.png"}\n')
    with pytest.raises(DataError, match=r"list\.jsonl line 1: path must not be empty, found file"):
        read(tmp_path / "list.jsonl")
    write_rows(tmp_path / "m.csv", [row("a", 1.0), row("b", 2.0)])
    write_rows(tmp_path / "n.csv", [row("a", 1.0, path="other.png"), row("b", 2.0)])
    assert len(read(tmp_path / "m.csv", tmp_path / "m.csv")) == 2
    with pytest.raises(DataError, match="image ids must be unique"):
        read(tmp_path / "m.csv", tmp_path / "n.csv")
    with pytest.raises(DataError, match=r"m\.csv has no row whose split is 'val', its splits: train"):
        read(tmp_path / "m.csv", split="val")
