"""Is higher really better? From what is known, from the levels of distortion, or from pixels."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from ray_iqa.data.checks.finding import Remark
from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.images import load_image
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.unique import grouped
from ray_iqa.errors import DataError

_CLEAR = 0.2  # correlation from which a sign counts
_ALIGNED = 0.7  # correlation of most versions with their median, below which they are not of one picture
_MAX_REFERENCES, _MIN_VERSIONS = 6, 12  # few versions of one kind have a degraded median


def check_direction(rows: Sequence[ManifestRow], known: PublicDataset | None, *, open_images: bool) -> Iterator[Remark]:
    """The stated direction agrees with all there is to hold against it."""
    stated = rows[0].direction
    if known is not None and known.direction != stated:
        yield "error", f"{known.labels}; the rows say that {stated} is better"
        return
    ground, correlation = "level of distortion", quality_and_level(rows)
    # Where the direction is known there is no need of guessing from pixels, which need versions of one picture.
    if correlation is None and known is None and open_images:
        ground, correlation = "pixel distance from the median of each reference", quality_and_distance(rows)
    if correlation is None and known is None:
        yield (
            "note",
            "not checked against the images: it takes levels of distortion, or versions of the same references",
        )
    elif correlation is not None and correlation > _CLEAR:
        yield (
            "error",
            f"quality rises with the {ground} (correlation {correlation:+.2f}) when {stated} is better: "
            "the labels are the other way round",
        )


def quality_and_level(rows: Sequence[ManifestRow]) -> float | None:
    """Correlation of oriented labels and levels inside each reference and distortion; None without levels."""
    ladders = grouped(((row.ref_id, row.distortion), row) for row in rows if row.level is not None)
    return _correlation(
        (ladder, np.array([row.level for row in ladder], dtype=np.float64)) for ladder in ladders.values()
    )


def quality_and_distance(rows: Sequence[ManifestRow]) -> float | None:
    """Correlation of oriented labels and pixel distance, inside references with many versions of one size.

    The pixelwise median of many versions of a content is close to the content itself, so the pristine image is not
    needed. None where no reference has enough versions.
    """
    by_reference = grouped((row.ref_id, row) for row in rows if row.ref_id is not None)
    large = [name for name in sorted(by_reference) if len(by_reference[name]) >= _MIN_VERSIONS]
    ranked = []
    for name in large[:: max(1, len(large) // _MAX_REFERENCES)][:_MAX_REFERENCES]:
        kept, stack = _same_size(by_reference[name])
        if len(kept) < _MIN_VERSIONS:
            continue
        median = np.median(stack, axis=0)
        pixels = [image.ravel() for image in (median, *stack) if np.ptp(image) > 0]  # flat ones correlate with nothing
        if np.ptp(median) > 0 and np.median(np.corrcoef(pixels)[0, 1:]) >= _ALIGNED:
            ranked.append((kept, rankdata(((stack - median) ** 2).mean(axis=(1, 2))) / len(kept)))
    return _correlation(ranked)


def _same_size(rows: Sequence[ManifestRow]) -> tuple[list[ManifestRow], NDArray[np.float32]]:
    """Rows of the most common size and their grey images, [n, height, width]."""
    found = []
    for row in rows:
        try:
            found.append((row, np.asarray(load_image(row.path).convert("L"), dtype=np.float32)))
        except DataError:  # reported by the check of files
            continue
    shapes = [grey.shape for _, grey in found]
    common = max(sorted(set(shapes)), key=shapes.count, default=None)
    kept = [(row, grey) for row, grey in found if grey.shape == common]
    return [row for row, _ in kept], np.array([grey for _, grey in kept])


def _correlation(groups: Iterable[tuple[Sequence[ManifestRow], NDArray[np.float64]]]) -> float | None:
    """Of oriented labels with a measure of the rows, both as deviations from their mean in each group."""
    quality, measure = [], []
    for rows, values in groups:
        labels = np.array([row.mos if row.direction == "higher" else -row.mos for row in rows])
        quality.extend(labels - labels.mean())
        measure.extend(values - values.mean())
    if len(quality) < _MIN_VERSIONS or np.ptp(quality) == 0 or np.ptp(measure) == 0:
        return None
    return float(spearmanr(quality, measure).statistic)
