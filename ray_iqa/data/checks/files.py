"""Checks of the image files: missing, broken, identical."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.fft import dctn

from ray_iqa.data.checks.finding import Remark
from ray_iqa.data.images import load_image, picture_bytes
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.unique import grouped
from ray_iqa.errors import DataError

_HASH_SIDE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What reading one image file has shown."""

    row: ManifestRow
    problem: str | None  # why it is not an image
    content: str | None  # SHA-256 of the file; None where it is missing
    perceptual_hash: int | None  # 64 bits


def inspect_images(rows: Sequence[ManifestRow]) -> list[ImageFacts]:
    """Read and decode every image once, in threads."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_inspect, rows))


def check_files(facts: Sequence[ImageFacts]) -> Iterator[Remark]:
    """Missing, broken and identical files, of one dataset."""
    missing = [fact for fact in facts if fact.content is None]
    if missing:
        yield "error", f"{len(missing):,} of {len(facts):,} images are missing, the first is {missing[0].row.path}"
    broken = [fact for fact in facts if fact.problem is not None and fact.content is not None]
    if broken:
        yield "error", f"{len(broken):,} of {len(facts):,} images are broken, the first: {broken[0].problem}"
    by_content = grouped((fact.content, fact.row.path) for fact in facts if fact.content is not None)
    copies = [paths for paths in by_content.values() if len(paths) > 1]
    if copies:
        first, second, *_ = copies[0]
        yield "warning", f"{len(copies):,} files are there more than once, e.g. {first} and {second}"


def perceptual_hash(image: Image.Image) -> int:
    """64 bits that hardly change when an image is resized, re-encoded or slightly distorted.

    Signs of the lowest 8 x 8 cosine coefficients of a 32 x 32 grey thumbnail against their median (the pHash of
    Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010).
    """
    thumbnail = image.convert("L").resize((4 * _HASH_SIDE, 4 * _HASH_SIDE), Image.Resampling.LANCZOS)
    low = dctn(np.asarray(thumbnail, dtype=np.float64), norm="ortho")[:_HASH_SIDE, :_HASH_SIDE]
    bits = (low > np.median(low)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _inspect(row: ManifestRow) -> ImageFacts:
    try:
        content = picture_bytes(row.path)
    except DataError:
        return ImageFacts(row=row, problem="missing", content=None, perceptual_hash=None)
    digest = hashlib.sha256(content).hexdigest()
    try:
        own_hash = perceptual_hash(load_image(content))
    except DataError as error:
        problem = f"{row.path}: {error}"
        return ImageFacts(row=row, problem=problem, content=digest, perceptual_hash=None)
    return ImageFacts(row=row, problem=None, content=digest, perceptual_hash=own_hash)
