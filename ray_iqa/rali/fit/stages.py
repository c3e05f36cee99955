"""The three stages, in one process or on each of many workers that share stage 1."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ray_iqa.config.rali import RaliFitConfig
from ray_iqa.errors import DataError
from ray_iqa.rali.fit.alignment_run import AlignmentRun, Team
from ray_iqa.rali.fit.basis import fit_basis, fit_pca, no_projection
from ray_iqa.rali.fit.data import FitImages
from ray_iqa.rali.fit.fine_tuning import fine_tune
from ray_iqa.rali.fit.pairs import TextSource, pair_up
from ray_iqa.rali.model.artifact import Artifact
from ray_iqa.rali.model.encoders import Clip, ImageEncoder
from ray_iqa.rali.model.head import RaliHead
from ray_iqa.rali.model.preprocessing import ImageSource
from ray_iqa.rali.scorer import RaliScorer
from ray_iqa.seeds import derive_seed
from ray_iqa.statistics.correlation import plcc, srcc

Log = Callable[[int, dict[str, float]], None]
"""Called with an epoch (0 is before stage 1) and its ``alignment/*`` figures."""


def hold_out(contents: Sequence[str], fraction: float, seed: int) -> NDArray[np.bool_]:
    """True for the images of the held-out slice [M], all images of some contents.

    It depends on the set of contents and their numbers of images, not on the order, and has ``fraction`` of the images
    or a content more.

    Args:
        contents: of the images, [M].
        fraction: of the images.
        seed: of the choice.

    Raises:
        DataError: too few images or contents for at least two images on both sides.
    """
    num_images = Counter(contents)
    count = max(2, round(fraction * len(contents)))
    order = sorted(num_images, key=lambda content: derive_seed(seed, "held out", content))
    before = np.cumsum([0, *(num_images[content] for content in order)])  # images of the contents before each
    chosen = {content for content, taken in zip(order, before[:-1], strict=True) if taken < count}
    held = np.array([content in chosen for content in contents])
    if (~held).sum() < 2:
        raise DataError(
            f"a fit needs at least 4 images, and two of them that show other contents than the held-out ones; got "
            f"{len(contents)} images of {len(num_images)} contents"
        )
    return held


class RaliFit:
    """All three stages on one worker of a team; the tower of ``clip`` is trained in place.

    Stage 1 is ``alignment``, None where it is not enabled.

    Args:
        clip: the backbone.
        data: training images; their held-out slice is cut off here.
        config: all stages.
        text_source: of embeddings; None takes the text tower of ``clip``.
        team: this worker's place.

    Raises:
        DataError: there are too few images.
    """

    def __init__(
        self,
        clip: Clip,
        data: FitImages,
        config: RaliFitConfig,
        text_source: TextSource | None = None,
        team: Team | None = None,
    ) -> None:
        clip = clip.with_crops(config.crops)
        self._clip, self._config, self._team = clip, config, team or Team()
        held = hold_out(data.contents, config.validation_fraction, config.seed)
        self._train, self._held_out = data.rows(~held), data.rows(held)
        self.alignment: AlignmentRun | None = None
        if config.alignment.enabled:
            train = self._train
            pairs = pair_up(train.images, train.reasonings, text_source or clip.text, config.texts_per_image)
            self.alignment = AlignmentRun(clip.image, pairs, (train, self._held_out), config, self._team)

    def epochs(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Train stage 1, where it is enabled; see `AlignmentRun.epochs`."""
        if self.alignment:
            yield from self.alignment.epochs()

    def finish(self) -> RaliScorer | None:
        """Stages 2 and 3 on the features of all workers; the scorer on the first of them, None on the others.

        Images that can no longer be read are left out; provenance names them under ``failed``, each with its reason.

        Raises:
            ConfigError: the data cannot fill what the configuration asks for.
        """
        encoder = self._clip.image
        parts = self._train, self._held_out
        (features, train), (held_features, held_out) = (self._team.features(encoder, part) for part in parts)
        if self._team.rank > 0:
            return None
        head, figures = fit_head((features, train.targets), (held_features, held_out.targets), self._config)
        read = {*train.ids, *held_out.ids}
        provenance = {
            "backbone": self._clip.name,
            "config": self._config.model_dump(mode="json"),
            "num_images": len(train.ids),
            "num_held_out": len(held_out.ids),
            "num_held_out_contents": len(set(held_out.contents)),
            "held_out": figures,
            "failed": {
                name: _reason(encoder, image)
                for part in parts
                for name, image in zip(part.ids, part.images, strict=True)
                if name not in read
            },
        }
        return RaliScorer(Artifact(encoder=encoder, head=head, provenance=provenance))


def _reason(encoder: ImageEncoder, image: ImageSource) -> str:
    """Why an image has no features."""
    found = encoder.preprocessing.centre_or_reason(image)
    return found if isinstance(found, str) else "the picture could not be read, or its features are not finite"


def fit_in_process(
    clip: Clip, data: FitImages, config: RaliFitConfig, log: Log, text_source: TextSource | None = None
) -> RaliScorer:
    """All three stages without other workers; see `RaliFit`."""
    fit = RaliFit(clip, data, config, text_source)
    for epoch, figures in fit.epochs():
        log(epoch, figures)
    scorer = fit.finish()
    assert scorer is not None, "a worker alone is the first one"
    return scorer


def fit_head(
    train: tuple[NDArray[np.float32], NDArray[np.float64]],
    held_out: tuple[NDArray[np.float32], NDArray[np.float64]],
    config: RaliFitConfig,
) -> tuple[RaliHead, dict[str, float]]:
    """Stages 2 and 3 on cached features.

    Args:
        train: features [M, D] of the (aligned) tower, and targets [M].
        held_out: the same of the held-out slice.
        config: all stages; alignment is not looked at.

    Returns:
        The head, and its figures on the held-out slice: ``srcc``, ``plcc``, ``mse``, ``mse_before_fine_tuning``.

    Raises:
        ConfigError: fewer images or features than components or basis vectors asked for.
    """
    features, targets = train
    projection = (
        fit_pca(features, config.projection.num_components)
        if config.projection.enabled
        else no_projection(features.shape[1])
    )
    basis = fit_basis(projection.apply(features), targets, config.basis, config.seed)
    head = RaliHead.from_parts(projection, basis, config.temperature)
    tensors = [
        (torch.from_numpy(rows), torch.from_numpy(values.astype(np.float32))) for rows, values in (train, held_out)
    ]
    if config.fine_tuning.enabled:
        seed = derive_seed(config.seed, "fine-tuning")
        head, _ = fine_tune(head, tensors[0], tensors[1], config.fine_tuning, seed)
    with torch.no_grad():
        before = RaliHead.from_parts(projection, basis, config.temperature)(tensors[1][0]).numpy()
        scores = head(tensors[1][0]).numpy()
    return head, {
        "srcc": srcc(scores, held_out[1]),
        "plcc": plcc(scores, held_out[1]),
        "mse": float(np.mean((scores - held_out[1]) ** 2)),
        "mse_before_fine_tuning": float(np.mean((before - held_out[1]) ** 2)),
    }
