"""What is known of a public dataset beside its files."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ray_iqa.data.names import whole
from ray_iqa.data.rows import Direction, ManifestRow, parse_row, unique_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicDataset:
    """One dataset: how many images it has, what its labels mean, on what terms it is to be had.

    ``read`` turns the folder as distributed into rows whose paths are absolute. It raises ``DataError`` naming the
    file and line where the files are not as described; a missing image is a row all the same, for `data check`.
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
    read: Callable[[Path], list[ManifestRow]]
    whole_number_votes: bool = False  # labels are plain means of ratings 1, 2, 3, 4, 5
    per_scene: bool = False  # labels are comparable inside a scene only; rows then carry ``group_id``
    repeats_contents: bool = False  # several images show one content; rows then carry ``ref_id``
    split_inside_contents: bool = False  # an official split has images of one content on both sides
    practice_name: str = "(?!)"  # expression for the file names of images that trained the raters: no reader keeps them
    content_name: str = "(?!)"  # expression for the stem of a file name that tells the content as group 1; none does
    content_spelling: Callable[[str], str] = str.lower  # of a ``ref_id``, whatever the case of the file name

    def content_of(self, name: str) -> str | None:
        """The ``ref_id`` that a name of an image or a reference tells, folders apart; None where it tells none."""
        told = re.fullmatch(self.content_name, PurePosixPath(whole(name)).stem, re.IGNORECASE)
        return None if told is None else self.content_spelling(told[1])

    def is_practice(self, name: str) -> bool:
        """Whether the image of that name, folders apart, trained the raters."""
        return re.fullmatch(self.practice_name, PurePosixPath(whole(name)).name, re.IGNORECASE) is not None

    def rows(self, root: Path) -> list[ManifestRow]:
        """What ``read`` gives, checked against each other.

        Raises:
            DataError: as ``read``; also for an image that is there twice, which names both rows and their labels.
        """
        found = enumerate((row for row in self.read(root) if not self.is_practice(row.image_id)), start=1)
        return unique_rows((f"{self.title} row {number}, labelled {row.mos:g}", row) for number, row in found)

    def row(
        self,
        place: str,
        *,
        image_id: str,
        path: Path,
        mos: object,
        **columns: object,  # the optional columns of a canonical row
    ) -> ManifestRow:
        """A checked row; ``place`` begins the message of the ``DataError`` it may raise."""
        low, high = self.scale if self.scale is not None else (None, None)
        record = {
            "dataset": self.name,
            "image_id": image_id,
            "path": str(path),
            "mos": mos,
            "direction": self.direction,
            "scale_min": low,
            "scale_max": high,
            "licence": self.licence,
        }
        return parse_row(record | columns, place)
