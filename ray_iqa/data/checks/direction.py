"""Is higher really better? From what is known, from the levels of distortion, or from pixels."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata, spearmanr

from ray_iqa.data.checks.finding import Remark
from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.images import load_image
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.unique import grouped
from ray_iqa.errors import DataError

_CLEAR = 0.2  # correlation with levels from which a sign counts
# From pixels no right labels may be convicted. Seeded trials with six and nine versions of photographs, right labels
# and wrong ones: versions of several kinds of distortion, of noise or of JPEG are told when wrong in 60 to 100 % of the
# trials and never convicted when right; those of one kind of blur, contrast or resizing, and crops, are hardly ever
# told, and convicted when right in 0 to 7 %.
_CLEAR_IN_PIXELS = 0.4
_ALIGNED = 0.95  # correlation of most versions with their median, at the scale of a thirtieth of the picture
_ALIKE = 0.5  # share of one pattern in what versions change, above which they differ in one way and have a bad median
_MAX_REFERENCES, _MIN_VERSIONS, _MIN_IMAGES = 6, 6, 12
_THUMBNAIL = (32, 32)


def check_direction(rows: Sequence[ManifestRow], known: PublicDataset | None, *, open_images: bool) -> Iterator[Remark]:
    """The stated direction agrees with all there is to hold against it."""
    stated = rows[0].direction
    if known is not None and known.direction != stated:
        yield "error", f"{known.labels}; the rows say that {stated} is better"
        return
    ground, correlation, clear = "level of distortion", quality_and_level(rows), _CLEAR
    # Where the direction is known there is no need of guessing from pixels, which need versions of one picture.
    if correlation is None and known is None and open_images:
        ground, correlation = "pixel distance from the median of each reference", quality_and_distance(rows)
        clear = _CLEAR_IN_PIXELS
    if correlation is None and known is None:
        yield (
            "note",
            "cannot be told from the images: it takes levels of distortion, or references with at least "
            f"{_MIN_VERSIONS} versions of one size and framing that differ in several ways",
        )
    elif correlation is not None and correlation > clear:
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
    """Correlation of oriented labels and pixel distance, inside references with several versions of one framing.

    The pixelwise median of versions that were changed in several ways is close to the content itself, so the pristine
    image is not needed. None where no reference has such versions.
    """
    by_reference: dict[str, list[ManifestRow]] = {}
    for row in rows:
        if row.ref_id is not None:
            by_reference.setdefault(row.ref_id, []).append(row)
    large = [name for name in sorted(by_reference) if len(by_reference[name]) >= _MIN_VERSIONS]
    ranked = []
    for name in large[:: max(1, len(large) // _MAX_REFERENCES)][:_MAX_REFERENCES]:
        kept, stack = _same_size(by_reference[name])
        if len(kept) >= _MIN_VERSIONS:
            median = np.median(stack, axis=0)
            distance = ((stack - median) ** 2).mean(axis=(1, 2))
            if np.median(distance) > 1 and _is_aligned(stack, median) and _is_varied(stack - median):
                ranked.append((kept, rankdata(distance) / len(kept)))
    return _correlation(ranked)


def _is_aligned(stack: NDArray[np.float32], median: NDArray[np.float32]) -> bool:
    """Whether most of [n, height, width] show what their median shows where it shows it; flat ones show nothing."""
    thumbnails = [
        np.asarray(Image.fromarray(image).resize(_THUMBNAIL, Image.Resampling.BOX), dtype=np.float64)
        for image in (median, *stack)
    ]
    details = [(image - gaussian_filter(image, 4)).ravel() for image in thumbnails if np.ptp(image) > 0]
    return bool(np.ptp(median) > 0 and len(details) > 2 and np.median(np.corrcoef(details)[0, 1:]) >= _ALIGNED)


def _is_varied(changes: NDArray[np.float32]) -> bool:
    """Whether no one pattern, of either sign, makes most of the changes [n, height, width]."""
    flat = changes.reshape(len(changes), -1)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    directions = flat[norms[:, 0] > 0] / norms[norms[:, 0] > 0]
    return bool(np.linalg.eigvalsh(directions @ directions.T)[-1] <= _ALIKE * len(directions))


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
    if len(quality) < _MIN_IMAGES or np.ptp(quality) == 0 or np.ptp(measure) == 0:
        return None
    return float(spearmanr(quality, measure).statistic)
