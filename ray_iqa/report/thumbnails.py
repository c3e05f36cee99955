"""Pictures inside the page, small: a lossless copy of a small file, a reduced one of a large file."""

import base64
import io
from pathlib import Path

from PIL import Image

from ray_iqa.data.images import load_image
from ray_iqa.errors import DataError

SIDE = 224  # pixels, of a reduced picture's longer side


def thumbnail(path: str | Path) -> str | None:
    """A data URI, or None where the picture cannot be shown.

    PNG, because a thumbnail in a report on quality must not add artefacts of its own.
    """
    try:
        picture = load_image(path)
    except DataError:
        return None
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
