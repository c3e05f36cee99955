"""What squares of the picture's own pixels add to the light scorer on pictures much larger than its tower.

    python benchmarks/rali_crops.py [--sides 512 1024] [--crops 0 4 9]

Procedural textures of each side under every kind of distortion of the demonstration's ladder, test contents apart. The
demonstration's small CLIP (a tower of 56 pixels) first reads attribute words next to whole pictures and squares of
them, since it was not trained on photographs of every scale as a real one was; then one scorer for each number of crops
is fitted to the labels, from the same tower. Printed: SRCC on the test pictures, its mean inside the versions of one
content under blur, noise or compression alone (does the scorer see what resizing hides?), and seconds per picture,
decoding apart.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ray_iqa.config.rali import RaliFitConfig
from ray_iqa.quickstart.attributes import describe
from ray_iqa.quickstart.distortions import LADDER, LEVELS, distort
from ray_iqa.quickstart.pictures import Split
from ray_iqa.quickstart.quality import rate, true_quality
from ray_iqa.quickstart.textures import make_textures
from ray_iqa.rali.fit.data import FitImages
from ray_iqa.rali.fit.small_clip import build_small_clip, warm_up
from ray_iqa.rali.fit.stages import fit_in_process
from ray_iqa.rali.model.encoders import load_clip
from ray_iqa.rali.scorer import RaliScorer

FINE = ("gaussian_blur", "white_noise", "jpeg", "webp")
NUM_CONTENTS: dict[Split, int] = {"train": 60, "test": 25}
VERSIONS = 12
CONFIG = {
    "alignment": {"enabled": False},
    "projection": {"num_components": 48},
    "basis": {"num_buckets": 40, "num_vectors": 60},
}


@dataclass
class Pictures:
    """Distorted pictures of one split; those of a content stand together."""

    contents: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    mos: list[float] = field(default_factory=list)
    images: list[NDArray[np.uint8]] = field(default_factory=list)

    def fit_images(self) -> FitImages:
        """As the fit takes them, without reasonings."""
        names = [str(place) for place in range(len(self.mos))]
        words = [[""]] * len(names)
        targets = np.array(self.mos)
        return FitImages(ids=names, contents=self.contents, images=self.images, reasonings=words, targets=targets)


def pictures(split: Split, side: int) -> Pictures:
    """The same for the same arguments."""
    found = Pictures()
    for content in make_textures(split, NUM_CONTENTS[split], side, seed=0):
        rng = np.random.default_rng([side, len(found.mos)])
        for kind, level in _versions(rng):
            found.contents.append(content.name)
            found.kinds.append(kind)
            found.levels.append(level)
            found.mos.append(rate(true_quality(kind, level), rng)[0])
            found.images.append(distort(content.views[0], kind, level, rng))
    return found


def _versions(rng: np.random.Generator) -> Iterator[tuple[str, int]]:
    """One ladder of a kind that changes fine detail, and other kinds at any level."""
    fine = FINE[int(rng.integers(len(FINE)))]
    yield from ((fine, level) for level in (0, *LEVELS))
    for _ in range(VERSIONS - 1 - len(LEVELS)):
        yield str(rng.choice(list(LADDER))), int(rng.integers(1, 6))


def inside_ladders(test: Pictures, scores: NDArray[np.float64]) -> float:
    """Mean SRCC of score and level, negated, over the first ladder of each content."""
    found = []
    for content in dict.fromkeys(test.contents):
        start, length = test.contents.index(content), 1 + len(LEVELS)
        ladder = slice(start, start + length)
        found.append(-spearmanr(scores[ladder], test.levels[ladder]).statistic)
    return float(np.nanmean(found))


def warm_tower(folder: Path, train: Pictures) -> None:
    """A small CLIP that knows what distortions look like, in whole pictures and in squares of them."""
    clip = build_small_clip(folder)
    cut = clip.image.preprocessing.squares().model_copy(update={"crops": 2})
    views = [cut.square(image).reshape(-1, 3, cut.size, cut.size) for image in train.images]
    words = [describe(kind, level) for kind, level in zip(train.kinds, train.levels, strict=True)]
    squares = [view.transpose(1, 2, 0) for own in views for view in own]
    warm_up(clip, squares, [each for each in words for _ in range(3)], num_steps=600, batch_size=64)
    clip.save(folder)


def main() -> None:
    """Print a row per side and number of crops."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--crops", type=int, nargs="+", default=[0, 4, 9])
    options = parser.parse_args()
    torch.set_num_threads(2)
    for side in options.sides:
        train, test = pictures("train", side), pictures("test", side)
        with TemporaryDirectory() as folder:
            warm_tower(Path(folder), train)
            for crops in options.crops:
                config = RaliFitConfig.model_validate({**CONFIG, "crops": crops})
                scorer = fit_in_process(load_clip(folder), train.fit_images(), config, lambda *_: None)
                report(side, crops, scorer, test)


def report(side: int, crops: int, scorer: RaliScorer, test: Pictures) -> None:
    """Score the test pictures and print the row."""
    began = time.perf_counter()
    scores = np.array([row.value for row in scorer.score(test.images)], dtype=np.float64)
    seconds = (time.perf_counter() - began) / len(scores)
    print(
        f"{side} x {side}, {crops} crops: SRCC {spearmanr(scores, test.mos).statistic:.3f}, "
        f"inside ladders of fine detail {inside_ladders(test, scores):.3f}, {1000 * seconds:.1f} ms a picture",
        flush=True,
    )


if __name__ == "__main__":
    main()
