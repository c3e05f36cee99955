"""The training pictures of the synthesised ladders with their visible attributes, for warm-up and cold start."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ray_iqa.data.images import load_image
from ray_iqa.data.manifest import read_rows
from ray_iqa.errors import DataError
from ray_iqa.quickstart.synthesise import MANIFEST


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderPictures:
    """N pictures of one size and what was done to them; labels of quality are left out on purpose."""

    pixels: torch.Tensor  # uint8 [N, 3, H, W]
    kinds: tuple[str, ...]  # N, names of the distortion ladder or "pristine"
    levels: NDArray[np.int64]  # [N], 0 to 5


@lru_cache(maxsize=1)  # warm-up, cold start and the CLIP's start read the same pictures
def load_training_pictures(data: str | Path) -> LadderPictures:
    """Read the ``train`` split of all ladders into memory.

    Args:
        data: folder with ``<dataset>/manifest.csv``, as `synthesise` writes it.

    Raises:
        DataError: no manifest or training row, a row without kind or level, pictures of several sizes.
    """
    manifests = sorted(Path(data).glob(f"*/{MANIFEST}"))
    rows = [(file.parent, row) for file in manifests for row in read_rows(file) if row.split == "train"]
    if not rows:
        raise DataError(f"{data} must hold <dataset>/{MANIFEST} with rows whose split is 'train', found none")
    unnamed = [row.image_id for _, row in rows if row.level is None or row.distortion is None]
    if unnamed:
        raise DataError(f"{data}: training rows need distortion and level, {unnamed[0]!r} lacks one of them")
    with ThreadPoolExecutor(2) as pool:
        pictures = list(pool.map(lambda place: np.asarray(load_image(place[0] / place[1].path)), rows))
    sizes = {picture.shape for picture in pictures}
    if len(sizes) > 1:
        raise DataError(f"{data}: training pictures must have one size, found {len(sizes)} sizes")
    return LadderPictures(
        pixels=torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(),
        kinds=tuple(str(row.distortion) for _, row in rows),
        levels=np.asarray([row.level for _, row in rows], dtype=np.int64),
    )
