"""Annotation records -> what the fit works on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ray_iqa.data.datasets.listing import known_dataset
from ray_iqa.errors import DataError
from ray_iqa.rali.annotations.records import ReasoningRecord, texts_by_image
from ray_iqa.rali.model.preprocessing import ImageSource


@dataclass(frozen=True, slots=True, kw_only=True)
class FitImages:
    """M training images with readable pictures, their reasonings and targets."""

    ids: Sequence[str]  # M, unique
    contents: Sequence[str]  # M, equal for images that show the same
    images: Sequence[ImageSource]  # M
    reasonings: Sequence[Sequence[str]]  # M, at least one each
    targets: NDArray[np.float64]  # [M], 1 to 5

    def rows(self, chosen: NDArray[np.bool_]) -> "FitImages":
        """The images where ``chosen`` [M] is True."""
        places = np.flatnonzero(chosen)
        return FitImages(
            ids=[self.ids[place] for place in places],
            contents=[self.contents[place] for place in places],
            images=[self.images[place] for place in places],
            reasonings=[self.reasonings[place] for place in places],
            targets=self.targets[places],
        )


def fit_images(records: Sequence[ReasoningRecord], target: Literal["mos", "teacher"]) -> FitImages:
    """One row per image that has a text; failed records are passed over.

    Args:
        records: of one or several data sets, in any order.
        target: ``mos`` needs labels of a single data set; ``teacher`` needs none and mixes data sets.

    Raises:
        DataError: no usable record, an image without target, or labels of several data sets.
    """
    grouped = texts_by_image(records)
    datasets = sorted({dataset for dataset, _ in grouped})
    if target == "mos" and len(datasets) > 1:
        raise DataError(
            f"target mos needs one data set, for labels of several do not compare; found {', '.join(datasets)}; "
            "use target teacher"
        )
    return FitImages(
        ids=["/".join(key) for key in grouped],
        contents=[f"{own[0].dataset}/{_content(own[0])}" for own in grouped.values()],
        images=[own[0].image_path for own in grouped.values()],
        reasonings=[[record.reasoning or "" for record in own] for own in grouped.values()],
        targets=np.array([_target(own[0], target) for own in grouped.values()]),
    )


class RecordedTexts:
    """The training texts and embeddings that annotation stored; a `TextSource` without a text tower."""

    def __init__(self, records: Sequence[ReasoningRecord], text_encoder: str) -> None:
        """Collect them.

        Raises:
            DataError: embeddings by another text tower than ``text_encoder``.
        """
        self._texts: dict[str, list[str]] = {}
        self._vectors: dict[str, list[float]] = {}
        for record in records:
            if record.status != "ok" or record.reasoning is None:
                continue
            if record.text_encoder != text_encoder:
                raise DataError(
                    f"texts must be embedded by the backbone of the fit, {text_encoder!r}, "
                    f"got {record.text_encoder!r} for {record.image_id!r}; annotate again, or embed anew"
                )
            self._texts[record.reasoning] = record.training_texts
            self._vectors.update(zip(record.training_texts, record.text_embeddings, strict=True))

    def training_texts(self, reasoning: str) -> list[str]:
        """The stored runs of a reasoning."""
        return self._texts[reasoning]

    def embeddings(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The stored embeddings, [n, D]."""
        return np.array([self._vectors[text] for text in texts], dtype=np.float32)


def _content(record: ReasoningRecord) -> str:
    """What an image shows, of annotations without contents as the name of a public dataset's image tells it."""
    public = known_dataset(record.dataset)
    told = None if record.content or public is None else public.content_of(record.image_id)
    return record.content or told or record.image_id


def _target(record: ReasoningRecord, target: Literal["mos", "teacher"]) -> float:
    value = record.mapped_mos if target == "mos" else record.teacher_score
    if value is None:
        column = "mapped_mos" if target == "mos" else "teacher_score"
        raise DataError(
            f"target {target} needs {column} of every image, {record.image_id!r} of {record.dataset!r} has none"
        )
    return value
