"""What an interchange file does not say about its labels, and the reader must be told."""

import re
from dataclasses import dataclass
from pathlib import Path

from ray_iqa.data.remote import is_url, located
from ray_iqa.data.rows import Direction, ManifestRow, parse_row
from ray_iqa.errors import DataError
from ray_iqa.path_text import path_text

TRAINING_IMAGE = re.compile(r"t[1-7]\.bmp", re.IGNORECASE)
"""Names of the images of LIVE Challenge that trained its raters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Origin and meaning of the labels of one file."""

    dataset: str
    images: Path  # the folder that image names are relative to
    direction: Direction
    scale: tuple[float, float] | None = None
    licence: str | None = None

    def row(self, place: str, *, name: str, mos: object, **columns: object) -> ManifestRow:
        """A checked row of the image called ``name``; its path is absolute or a URL.

        Raises:
            DataError: begins with ``place``.
        """
        low, high = self.scale if self.scale is not None else (None, None)
        record = {
            "dataset": self.dataset,
            "image_id": name,
            "path": located(self.images.absolute(), name) if name else "",
            "mos": mos,
            "direction": self.direction,
            "scale_min": low,
            "scale_max": high,
            "licence": self.licence,
        }
        return parse_row(record | columns, place)


def image_name(row: ManifestRow, images: Path) -> str:
    """The name of a row's image relative to the folder ``images``; a URL as it is.

    Raises:
        DataError: the image does not lie below it.
    """
    if is_url(row.path):
        return row.path
    path, folder = Path(row.path), Path(path_text(images.absolute()))
    if not path.is_absolute():
        return path.as_posix()
    if not path.is_relative_to(folder):
        raise DataError(f"every image must lie below {folder}, got {path}; give the folder they have in common")
    return path.relative_to(folder).as_posix()
