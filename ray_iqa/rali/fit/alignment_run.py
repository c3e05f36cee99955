"""Stage 1 epoch by epoch: the same for one process and for many, and a checkpoint between any two."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from ray_iqa.config.rali import RaliFitConfig
from ray_iqa.errors import DataError
from ray_iqa.rali.fit.alignment import Aligner, AlignmentModule, alone, gather_from_all
from ray_iqa.rali.fit.data import FitImages
from ray_iqa.rali.fit.pairs import AlignmentPairs
from ray_iqa.rali.model.encoders import ImageEncoder
from ray_iqa.statistics.correlation import srcc

_FILE = "alignment.pt"
_PENALTIES = np.logspace(-2, 4, 13)


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """The workers of a fit, as one of them sees them."""

    rank: int = 0
    num_workers: int = 1
    wrap: Callable[[nn.Module], nn.Module] = lambda module: module
    """Puts a module on this worker's device, and averages its gradients over the workers."""

    def features(self, encoder: ImageEncoder, part: FitImages) -> tuple[NDArray[np.float32], FitImages]:
        """Features [m, D] of the images of a part that can be read, and these images, the same on every worker.

        Each worker computes its share.

        Raises:
            DataError: fewer than two can be read.
        """
        own = encoder.features(part.images[self.rank :: self.num_workers])
        rows = np.empty((len(part.images), own.shape[1]), np.float32)
        shares: list[NDArray[np.float32]] = [own] * self.num_workers
        if self.num_workers > 1:
            torch.distributed.all_gather_object(shares, own)
        for rank, share in enumerate(shares):
            rows[rank :: self.num_workers] = share
        sound = np.asarray(np.isfinite(rows).all(axis=1))
        if sound.sum() < 2:
            reason = encoder.preprocessing.centre_or_reason(part.images[int(np.argmin(sound))])
            raise DataError(f"a fit needs pictures, but {(~sound).sum()} of {len(sound)} cannot be read: {reason}")
        return rows[sound], part.rows(sound)


def linear_probe_srcc(
    train: tuple[NDArray[np.float32], NDArray[np.float64]], held_out: tuple[NDArray[np.float32], NDArray[np.float64]]
) -> float:
    """SRCC on held-out images of a ridge regression fitted to the training images.

    Args:
        train: features [M, D] and targets [M].
        held_out: features and targets of other images.
    """
    probe = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))
    probe.fit(*train)
    return srcc(probe.predict(held_out[0]), held_out[1])


class AlignmentRun:
    """Trains a tower in place; the tower of the end is that of the epoch which a linear probe reads best.

    Args:
        encoder: its tower is trained.
        pairs: of the training images.
        split: training images and the held-out slice, for the probe.
        config: all stages.
        team: this worker's place.
    """

    def __init__(
        self,
        encoder: ImageEncoder,
        pairs: AlignmentPairs,
        split: tuple[FitImages, FitImages],
        config: RaliFitConfig,
        team: Team,
    ) -> None:
        settings = config.alignment
        self._encoder, self._pairs, self._split, self._config, self._team = encoder, pairs, split, config, team
        self._module = AlignmentModule(encoder.tower)
        self._aligner = Aligner(
            team.wrap(self._module),
            settings,
            settings.epochs * pairs.num_steps(settings.batch_size),
            alone if team.num_workers == 1 else gather_from_all,
        )
        self._best: dict[str, Tensor] = {}
        self._best_srcc = -np.inf
        self.num_done = 0  # epochs

    def probe(self) -> float:
        """SRCC of a linear probe on the held-out slice."""
        parts = (self._team.features(self._encoder, part) for part in self._split)
        return linear_probe_srcc(*((features, sound.targets) for features, sound in parts))

    def _judged(self) -> float:
        """What the probe finds now; the weights are kept if it never found more."""
        found = self.probe()
        if found > self._best_srcc:
            self._best_srcc = found
            self._best = {name: value.clone() for name, value in self._encoder.tower.state_dict().items()}
        return found

    def epochs(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Train: each epoch and its figures ``alignment/loss``, ``alignment/logit_scale``, ``alignment/probe_srcc``.

        Epoch 0 is before the first and has the last of them alone. In the end the tower gets its best weights, those
        of epoch 0 where no epoch made the probe better: a departure from the paper, which chooses none.

        Raises:
            DataError: no picture of a worker's share of a step can be read.
        """
        if self.num_done == 0:
            yield 0, {"alignment/probe_srcc": self._judged()}
        while self.num_done < self._config.alignment.epochs:
            batches = self._pairs.epoch(
                self.num_done,
                self._config.alignment.batch_size,
                self._encoder.preprocessing,
                self._config.seed,
                rank=self._team.rank,
                num_workers=self._team.num_workers,
            )
            figures = self._aligner.train_epoch(batches) | {"probe_srcc": self._judged()}
            self.num_done += 1
            yield self.num_done, {f"alignment/{name}": value for name, value in figures.items()}
        self._encoder.tower.load_state_dict(self._best)

    def save(self, folder: Path) -> None:
        """Write everything that `restore` needs."""
        aligner = self._aligner.state_dict() | {"module": self._module.state_dict()}
        best = {"best": self._best, "best_srcc": float(self._best_srcc)}
        torch.save({"aligner": aligner, "num_done": self.num_done, **best}, folder / _FILE)

    def restore(self, folder: Path) -> None:
        """Continue where `save` was called."""
        saved = torch.load(folder / _FILE, map_location="cpu", weights_only=True)
        self._module.load_state_dict(saved["aligner"]["module"])
        self._aligner.load_state_dict(saved["aligner"])
        self._best, self._best_srcc, self.num_done = saved["best"], saved["best_srcc"], saved["num_done"]
