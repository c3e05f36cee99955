"""What a run was begun with, as short texts that stay the same when files move."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from ray_iqa.types import LabelledImage

_MODEL_FILES = {".json", ".jinja", ".txt", ".model", ".safetensors", ".bin", ".pt", ".npz"}
_WINDOWS, _WINDOW_BYTES = 128, 2**16


def images_digest(images: Iterable[LabelledImage]) -> str:
    """Of names and labels, in any order; pictures may lie anywhere and are not read."""
    rows = [
        (image.dataset, image.image_id, image.mos, image.mos_std, image.higher_is_better, image.scene_id)
        + ((image.question, image.distortion, image.level) if image.question else ())
        for image in images
    ]
    return hashlib.sha256("\n".join(sorted(map(repr, rows))).encode()).hexdigest()


def model_digest(model: str, revision: str | None = None) -> str:
    """Of the files of a model's folder, or of one file; of anything else the name, taken for that of a hub."""
    path = Path(model)
    if path.is_dir():
        return files_digest(sorted(file for file in path.iterdir() if file.suffix in _MODEL_FILES))
    return files_digest([path]) if path.is_file() else f"{model}@{revision}"


def files_digest(files: Sequence[Path]) -> str:
    """Of names, sizes and bytes; of a file above 8 MiB only pieces of 64 KiB all over it are read."""
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        step = max(_WINDOW_BYTES, size // _WINDOWS)
        with file.open("rb") as stream:
            for start in range(0, size, step):
                stream.seek(start)
                digest.update(stream.read(_WINDOW_BYTES))
    return digest.hexdigest()
