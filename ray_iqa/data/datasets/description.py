"""What is known of a public dataset beside its files."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ray_iqa.data.datasets.native_files import ImageFiles
from ray_iqa.data.formats.source import Source
from ray_iqa.data.names import whole
from ray_iqa.data.rows import Direction, ManifestRow, required_text, unique_rows

Labels = Iterable[tuple[str, Mapping[str, Any]]]  # Any: values as files type them
"""(place, values by canonical column) of each image. Its file is called ``image_id``, or as one of ``files`` where that
is given; names are below one of the dataset's ``folders``, whatever their case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicDataset:
    """One dataset: how many images it has, what its labels mean, on what terms it is to be had.

    ``read`` finds the labels in the folder as distributed. It raises ``DataError`` naming the file and line where the
    files are not as described.
    """

    name: str  # the rows' ``dataset``
    title: str
    num_images: int  # rows that ``read`` makes of the complete download
    direction: Direction
    scale: tuple[float, float] | None  # ends of the label scale; None where it has none (Elo, JOD, realigned DMOS)
    labels: str  # what the labels and their spread are, in a sentence
    licence: str
    citation: str
    obtain: str
    read: Callable[[Path], Labels]
    folders: tuple[str, ...]  # below the distributed one, that copies keep images in; searched in this order
    whole_number_votes: bool = False  # labels are plain means of whole-number ratings
    per_scene: bool = False  # labels are comparable inside a scene only; rows then carry ``scene_id``
    repeats_contents: bool = False  # several images show one content; rows then carry ``ref_id``
    split_inside_contents: bool = False  # an official split has images of one content on both sides
    practice_name: str = "(?!)"  # expression for the file names of images that trained the raters: no reader keeps them
    content_name: str = "(?!)"  # expression for the stem of a file name that tells the content as group 1; none does
    content_spelling: Callable[[str], str] = str.lower  # of a ``ref_id``, whatever the case of the file name
    mute_name: str = "(?!)"  # expression for the end of an image's name that is this dataset's and tells no content

    def content_of(self, name: str) -> str | None:
        """The ``ref_id`` that a name of an image or a reference tells, folders apart; None where it tells none."""
        told = re.fullmatch(self.content_name, PurePosixPath(whole(name)).stem, re.IGNORECASE)
        return None if told is None else self.content_spelling(told[1])

    def has_name(self, name: str) -> bool:
        """Whether an image of this dataset, which shows contents several times, may be called so."""
        is_mute = re.search(rf"(?:^|/){self.mute_name}$", whole(name), re.IGNORECASE) is not None
        return is_mute or self.content_of(name) is not None

    def is_practice(self, name: str) -> bool:
        """Whether the image of that name, folders apart, trained the raters."""
        return re.fullmatch(self.practice_name, PurePosixPath(whole(name)).name, re.IGNORECASE) is not None

    def rows(self, root: Path) -> list[ManifestRow]:
        """Rows of the folder as distributed, with absolute paths; a missing image is a row all the same.

        Raises:
            DataError: as ``read``; also for a folder without images, a label that is none, and an image that is there
                twice, which names both rows and their labels.
        """
        labels = list(self.read(root))
        images = ImageFiles(root, self.folders)
        source = Source(
            dataset=self.name, images=root, direction=self.direction, scale=self.scale, licence=self.licence
        )
        rows = []
        for place, values in labels:
            name = required_text(values, "image_id", place)
            if not self.is_practice(name):
                path = str(images.path(*values.get("files", [name])))
                rows.append(source.row(place, name, {**values, "path": path}))
        return unique_rows((f"{self.title} row {n}, labelled {row.mos:g}", row) for n, row in enumerate(rows, start=1))
