"""Two labelled datasets of distorted pictures with a known quality: files, manifests, splits by content.

``ladder-a`` has a MOS from 1 to 5, higher is better; ``ladder-b`` a DMOS from 0 to 100, lower is better.
Both follow the same definition of quality (`quickstart.quality`), which a reader of the labels is not told.
The same arguments give the same bytes, with the same versions of numpy, scipy and Pillow.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ray_iqa.data.manifest import read_rows, write_rows
from ray_iqa.data.rows import ManifestRow
from ray_iqa.errors import ConfigError
from ray_iqa.files import writable_folder
from ray_iqa.path_text import path_text
from ray_iqa.quickstart.crops import augmented, draw_crops
from ray_iqa.quickstart.distortions import LADDER, LEVELS, PRISTINE, distort, visible_kinds
from ray_iqa.quickstart.pictures import SPLITS, Content, Split, load_photographs
from ray_iqa.quickstart.quality import rate, true_quality
from ray_iqa.quickstart.textures import make_textures

MANIFEST = "manifest.csv"
PRISTINE_SHARE = 0.06
NUM_TEXTURES: dict[Split, int] = {"train": 150, "val": 20, "test": 40}
MAX_CROPS = 250  # per content; more images than that re-use crops, turned, re-coloured and with another distortion
MIN_SIZE, MAX_SIZE = 32, 300  # pixels; the smallest photograph is 300 high
_TEXTURE_SIDE = 3  # times the picture's


@dataclass(frozen=True, slots=True)
class Ladder:
    """One of the two datasets and its label scale; ``best`` is the label of a perfect picture."""

    dataset: str
    direction: Literal["higher", "lower"]
    worst: float
    best: float

    def label(self, mos: float, mos_std: float) -> tuple[float, float]:
        """MOS and standard deviation of the scale 1 to 5 on this dataset's own scale."""
        slope = (self.best - self.worst) / 4
        return round(self.worst + slope * (mos - 1), 4), round(abs(slope) * mos_std, 4)


LADDERS = (Ladder("ladder-a", "higher", 1.0, 5.0), Ladder("ladder-b", "lower", 100.0, 0.0))


_Picture = tuple[Content, NDArray[np.uint8], str, int]  # content, crop of it, kind and level of its distortion


def synthesise(
    folder: str | Path,
    *,
    num_train: int = 20_000,
    num_val: int = 240,
    num_test: int = 640,
    size: int = 56,
    kinds: Sequence[str] | None = None,
    seed: int = 0,
) -> list[Path]:
    """Write both datasets below ``folder``: ``<dataset>/<split>/*.png`` and ``<dataset>/manifest.csv``.

    Half of the images of a split show photographs, the others procedural textures.

    Args:
        folder: made where missing; files of the same names are replaced.
        num_train: images over both datasets; likewise ``num_val`` and ``num_test``.
        num_val: validation images.
        num_test: test images.
        size: pixels per side, 32 to 300.
        kinds: names in ``LADDER``; None takes those that this size can show.
        seed: of textures, crops, distortions and raters; the split of the photographs does not depend on it.

    Returns:
        The manifests, in the order of ``LADDERS``.

    Raises:
        ConfigError: unknown kind, a size out of range, a negative number or seed.
        ResourceError: a package that ships photographs is not installed.
    """
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ConfigError(f"size must be {MIN_SIZE} to {MAX_SIZE} pixels (the smallest photograph is 300), got {size}")
    if min(num_train, num_val, num_test, seed) < 0:
        raise ConfigError(
            f"numbers of images and the seed must not be negative, got {num_train} for training, {num_val} for "
            f"validation, {num_test} for test and seed {seed}"
        )
    chosen = _checked_kinds(visible_kinds(size) if kinds is None else kinds)
    writable_folder(folder)
    rows: dict[str, list[ManifestRow]] = {ladder.dataset: [] for ladder in LADDERS}
    for split, count in zip(SPLITS, (num_train, num_val, num_test), strict=True):
        for ladder in LADDERS:
            (Path(folder) / ladder.dataset / split).mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([seed, SPLITS.index(split)])
        for index, picture in enumerate(_pictures(split, count, size, chosen, seed)):
            ladder = LADDERS[index % len(LADDERS)]
            rows[ladder.dataset].append(_write(Path(folder) / ladder.dataset, ladder, index, picture, rng))
    manifests = [Path(folder) / ladder.dataset / MANIFEST for ladder in LADDERS]
    for ladder, manifest in zip(LADDERS, manifests, strict=True):
        write_rows(manifest, rows[ladder.dataset])
    return manifests


def permute_labels(manifests: Sequence[Path], folder: str | Path, *, seed: int = 0) -> list[Path]:
    """Write control manifests whose training labels are permuted within each dataset; other splits stay.

    Images are not copied: the rows keep pointing at the files of the originals, by absolute path.

    Returns:
        ``<folder>/<dataset>.csv`` of each dataset.
    """
    written = []
    for number, manifest in enumerate(manifests):
        home = Path(manifest).absolute().parent
        rows = [replace(row, path=path_text(home / row.path)) for row in read_rows(manifest)]
        train = [i for i, row in enumerate(rows) if row.split == "train"]
        donors = [rows[i] for i in np.random.default_rng([seed, number]).permutation(train)]
        for i, donor in zip(train, donors, strict=True):
            rows[i] = replace(rows[i], mos=donor.mos, mos_std=donor.mos_std)
        written.append(Path(folder) / f"{home.name}.csv")
        write_rows(written[-1], rows)
    return written


def _checked_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    unknown = [kind for kind in kinds if kind not in LADDER]
    if unknown or not kinds:
        found = repr(unknown[0]) if unknown else "none"
        raise ConfigError(f"kinds must be one or more of {', '.join(LADDER)}; got {found}")
    return tuple(kinds)


def _pictures(split: Split, count: int, size: int, kinds: Sequence[str], seed: int) -> Iterator[_Picture]:
    """The images of a split in random order; a crop is re-used only where a content yields too few."""
    rng = np.random.default_rng([seed, SPLITS.index(split), 1])
    textures = make_textures(split, min(NUM_TEXTURES[split], max(1, count // 4)), _TEXTURE_SIDE * size, seed)
    dealt: list[tuple[Content, NDArray[np.uint8]]] = []
    for contents, share in ((load_photographs(split), count // 2), (textures, count - count // 2)):
        needed = min(MAX_CROPS, -(-share // len(contents)))
        drawn = [(content, draw_crops(content, needed, size, rng)) for content in contents]
        usable = [(content, crops) for content, crops in drawn if len(crops)]
        for number in range(share):
            again, place = divmod(number, len(usable))
            content, crops = usable[place]
            dealt.append((content, crops[again % len(crops)]))
    conditions = [(kind, level) for kind in kinds for level in LEVELS]
    for number in rng.permutation(count).tolist():
        content, crop = dealt[number]
        pristine = rng.random() < PRISTINE_SHARE
        kind, level = (PRISTINE, 0) if pristine else conditions[int(rng.integers(len(conditions)))]
        yield content, augmented(crop, rng) if split == "train" else crop, kind, level


def _write(home: Path, ladder: Ladder, index: int, picture: _Picture, rng: np.random.Generator) -> ManifestRow:
    """Distort, rate and save one picture."""
    content, crop, kind, level = picture
    pixels, split = distort(crop, kind, level, rng), content.split
    path = f"{split}/{index:06d}.png"
    Image.fromarray(pixels).save(home / path, compress_level=1)  # the fastest; the pictures are small
    mos, mos_std = ladder.label(*rate(true_quality(kind, level), rng))
    return ManifestRow(
        dataset=ladder.dataset,
        image_id=f"{split}-{index:06d}",
        path=path,
        ref_id=content.name,
        distortion=kind,
        level=level,
        mos=mos,
        mos_std=mos_std,
        direction=ladder.direction,
        scale_min=min(ladder.worst, ladder.best),
        scale_max=max(ladder.worst, ladder.best),
        split=split,
        licence=content.licence,
    )
