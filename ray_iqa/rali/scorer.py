"""The light scorer: pictures -> quality on 1 to 5, higher is better, without a language model.

torch and open_clip are imported by `RaliScorer.load`, so that this module costs nothing to import.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ray_iqa.answers.verdict import Verdict
from ray_iqa.config.precision import Precision
from ray_iqa.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ray_iqa.rali.model.artifact import Artifact
    from ray_iqa.rali.model.preprocessing import ImageSource


class RaliScorer:
    """Scores pictures with one image tower and one head.

    Args:
        artifact: tower, preprocessing and head.
        device: where they run, as torch spells it.
        precision: of the tower.

    Raises:
        ConfigError: no such device here, or int8 on another one than a CPU.
    """

    def __init__(self, artifact: "Artifact", device: str = "cpu", precision: Precision = "fp32") -> None:
        from ray_iqa.rali.model.precision import in_precision

        self.artifact = artifact
        self._preprocessing = artifact.encoder.preprocessing
        self._tower = in_precision(artifact.encoder.tower.eval().requires_grad_(False), precision, device)
        self._head = artifact.head.to(device).eval().requires_grad_(False)
        self._device = device
        self._precision = precision

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu", precision: Precision = "fp32") -> Self:
        """Read an artifact; device and precision as above.

        Raises:
            ConfigError: the folder holds none, or as above.
            DataError: its files are damaged.
        """
        from ray_iqa.rali.model.artifact import load_artifact

        return cls(load_artifact(folder), device, precision)

    def save(self, folder: str | Path) -> None:
        """Write the artifact that `load` reads."""
        from ray_iqa.rali.model.artifact import save_artifact

        save_artifact(self.artifact, folder)

    def score(self, images: "Sequence[ImageSource] | Tensor", batch_size: int = 32) -> list[Verdict]:
        """One row per picture, in their order; a broken picture is a row that says why.

        ``spread`` is that of the basis scores which the picture resembles; see `RaliHead.spread`.

        Args:
            images: pictures of any kinds that `ImageSource` names, or a float tensor [n, 3, H, W] in [0, 1].
            batch_size: pictures scored at a time; scores do not depend on it. Files are decoded by as many threads as
                torch computes with.
        """
        import torch

        pictures = iter(images)
        rows: list[Verdict] = []
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            coming = [self._begin(pool, source) for source in islice(pictures, batch_size)]
            while coming:
                # The next files are decoded while the tower works on these.
                batch, coming = coming, [self._begin(pool, source) for source in islice(pictures, batch_size)]
                rows.extend(self._score_batch(batch))
        return rows

    def score_centres(self, centres: "NDArray[np.uint8]", batch_size: int = 64) -> list[Verdict]:
        """As `score`, of writable [n, *`Preprocessing.shape`], which `Preprocessing.centre` has cut elsewhere."""
        import torch

        slices = (centres[start : start + batch_size] for start in range(0, len(centres), batch_size))
        parts = (torch.from_numpy(part).to(self._device) for part in slices)
        return [row for part in parts for row in self._score_pixels(self._preprocessing.normalised(part / 255))]

    def differentiable(self, images: "Tensor") -> "Tensor":
        """Scores [n] with gradients to the pixels, for use as a loss (minimise its negative).

        Args:
            images: [n, 3, H, W] float in [0, 1], on the scorer's device; values outside are not an error here.

        Raises:
            ConfigError: the scorer has precision int8, which has no gradients.
        """
        if self._precision == "int8":
            raise ConfigError("a scorer of precision int8 has no gradients; load it with fp32 or bf16")
        return self._scores(self._preprocessing.normalised(self._preprocessing.resized(images)))

    def _features(self, pixels: "Tensor") -> "Tensor":
        import torch

        from ray_iqa.rali.model.encoders import pooled

        dtype = torch.bfloat16 if self._precision == "bf16" else pixels.dtype
        return pooled(self._tower, pixels.to(dtype, memory_format=torch.channels_last)).to(self._head.scores.dtype)

    def _scores(self, pixels: "Tensor") -> "Tensor":
        scores: Tensor = self._head(self._features(pixels))
        return scores

    def _begin(self, pool: ThreadPoolExecutor, source: "ImageSource") -> "Callable[[], Tensor | str]":
        """Returns what waits for a picture's centre; other sources than files may be shared with other threads."""
        if isinstance(source, str | Path | bytes):
            return pool.submit(self._preprocessing.centre_or_reason, source).result
        return partial(self._preprocessing.centre_or_reason, source)

    def _score_batch(self, batch: "Sequence[Callable[[], Tensor | str]]") -> list[Verdict]:
        from torch.profiler import record_function

        with record_function("decode and preprocess"):
            centres = [wait() for wait in batch]
            sound = [centre.to(self._device) for centre in centres if not isinstance(centre, str)]
        found = iter(self._score_pixels(self._preprocessing.batch(sound)) if sound else ())
        return [Verdict(value=None, reason=centre) if isinstance(centre, str) else next(found) for centre in centres]

    def _score_pixels(self, pixels: "Tensor") -> list[Verdict]:
        import torch
        from torch.profiler import record_function

        with torch.inference_mode(), record_function("tower and head"):
            features = self._features(pixels)
            values, spreads = self._head(features).tolist(), self._head.spread(features).tolist()
        return [_verdict(value, spread) for value, spread in zip(values, spreads, strict=True)]


def _verdict(value: float, spread: float) -> Verdict:
    if not math.isfinite(value):
        reason = "the scorer found no finite score; its weights or the picture's values overflow"
        return Verdict(value=None, reason=reason)
    return Verdict(value=value, spread=spread)
