"""From annotation rows to images, reasonings and targets."""

import dataclasses

import numpy as np
import pytest

from ray_iqa.errors import DataError
from ray_iqa.rali.annotations.records import ReasoningRecord
from ray_iqa.rali.fit.data import RecordedTexts, fit_images


def record(image_id: str, text_index: int, **changes: object) -> ReasoningRecord:
    text = f"text {text_index} of {image_id}"
    plain = ReasoningRecord(
        image_id=image_id,
        image_path=f"{image_id}.png",
        dataset="koniq",
        mos=60.0,
        mapped_mos=3.4,
        teacher_score=2.9,
        teacher_score_std=0.1,
        reasoning=text,
        text_index=text_index,
        policy_version=1,
        status="ok",
        reason=None,
        num_tokens=6,
        truncated=False,
        text_encoder="small",
        training_texts=[f"{text}, first part", f"{text}, second part"],
        text_embeddings=[[1.0, float(text_index)], [0.0, 1.0]],
    )
    return dataclasses.replace(plain, **changes)


def test_contents_are_those_of_the_annotation_or_of_names_that_tell_them() -> None:
    records = [
        record("I01_01_01.png", 0, dataset="kadid10k"),
        record("I01_02_03.png", 0, dataset="kadid10k"),
        record("a", 0, dataset="mine", content="scene"),
        record("b", 0, dataset="mine"),
    ]
    assert fit_images(records, "teacher").contents == ["kadid10k/I01", "kadid10k/I01", "mine/scene", "mine/b"]


def test_texts_are_grouped_by_image_in_their_order_and_failures_left_out() -> None:
    failed = record("c", 0, status="failed", reasoning=None, reason="broken")
    data = fit_images([record("b", 1), failed, record("a", 0, mapped_mos=1.5), record("b", 0)], "mos")
    assert data.ids == ["koniq/a", "koniq/b"]
    assert data.images == ["a.png", "b.png"]
    assert data.reasonings == [["text 0 of a"], ["text 0 of b", "text 1 of b"]]
    np.testing.assert_array_equal(data.targets, [1.5, 3.4])
    np.testing.assert_array_equal(fit_images([record("a", 0)], "teacher").targets, [2.9])


def test_labels_of_two_data_sets_do_not_mix_but_teacher_scores_do() -> None:
    records = [record("a", 0), record("a", 0, dataset="spaq")]
    with pytest.raises(DataError, match="found koniq, spaq"):
        fit_images(records, "mos")
    assert fit_images(records, "teacher").ids == ["koniq/a", "spaq/a"]


def test_missing_targets_and_missing_images_are_named() -> None:
    with pytest.raises(DataError, match="mapped_mos of every image, 'a'"):
        fit_images([record("a", 0, mapped_mos=None)], "mos")
    with pytest.raises(DataError, match="teacher_score of every image"):
        fit_images([record("a", 0, teacher_score=None)], "teacher")
    with pytest.raises(DataError, match="none without failure among 1"):
        fit_images([record("a", 0, status="failed", reasoning=None)], "teacher")


def test_stored_embeddings_are_found_by_text_and_belong_to_one_tower() -> None:
    stored = RecordedTexts([record("a", 0), record("a", 3)], "small")
    runs = stored.training_texts("text 3 of a")
    assert runs == ["text 3 of a, first part", "text 3 of a, second part"]
    np.testing.assert_array_equal(stored.embeddings(runs), [[1, 3], [0, 1]])
    with pytest.raises(DataError, match="got 'small' for 'a'"):
        RecordedTexts([record("a", 0)], "ViT-L-14")
