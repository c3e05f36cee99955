"""Checks that need the labels of one dataset only: count, scale, spread, scenes, references."""

from collections.abc import Iterator, Sequence

import numpy as np

from ray_iqa.data.checks.finding import Remark
from ray_iqa.data.contents import without_contents
from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.unique import grouped
from ray_iqa.data.votes import share_below_votes

_FEW = 0.01  # share of rows that may be odd without a finding
_MOST_STEPS = 10  # of a scale whose ratings are likely whole numbers: 1 to 5, 0 to 9, 0 to 10
_ANY_VOTES = 0.1  # share below the spread of whole-number votes; KonIQ-10k has 0.03, its variances 0.65


def check_count(rows: Sequence[ManifestRow], known: PublicDataset | None) -> Iterator[Remark]:
    """The number of rows is that of the public dataset."""
    surplus = 0 if known is None else len(rows) - known.num_images
    if known is not None and surplus:
        how = f"{surplus:,} more" if surplus > 0 else f"{-surplus:,} fewer"
        yield "error", f"{known.title} has {known.num_images:,} images, got {len(rows):,}, {how}"


def check_scale(rows: Sequence[ManifestRow], known: PublicDataset | None) -> Iterator[Remark]:
    """Labels lie on the scale of the dataset and fill it."""
    labels = np.array([row.mos for row in rows])
    low, high = _scale(rows) if known is None or known.scale is None else known.scale
    outside = int(((labels < low) | (labels > high)).sum())
    if known is not None and outside:
        yield "error", f"{outside:,} labels lie outside the scale {low} to {high} ({known.labels})"
    if np.ptp(labels) == 0:
        yield "error", f"all {len(rows):,} labels are {rows[0].mos!r}"
    elif np.ptp(labels) < 0.3 * (high - low):
        found = f"labels go from {labels.min():.4g} to {labels.max():.4g}"
        yield "warning", f"{found} on a scale of {low} to {high}: another scale?"


def check_spread(rows: Sequence[ManifestRow], known: PublicDataset | None) -> Iterator[Remark]:
    """``mos_std`` is a standard deviation in the unit of the labels."""
    with_std = [row for row in rows if row.mos_std is not None]
    if not with_std:
        return
    labels = np.array([row.mos for row in with_std])
    std = np.array([row.mos_std for row in with_std], dtype=np.float64)
    low, high = _scale(rows)
    too_large = float((std > (high - low) / 2).mean())
    is_votes = known is not None and known.whole_number_votes
    has_steps = low % 1 == high % 1 == 0 and high - low <= _MOST_STEPS and (is_votes or known is None)
    below_votes = share_below_votes(labels, std) if has_steps else 0.0
    if too_large > _FEW:
        share = f"{too_large:.0%} of mos_std exceed half the range {low:.4g} to {high:.4g}"
        yield "error", f"{share}: a variance, or other units?"
    elif below_votes > _ANY_VOTES:
        sentence = (
            f"{below_votes:.0%} of mos_std are smaller than whole-number ratings with these means can have: a "
            "variance, or a standard error of the mean?"
        )
        yield ("error", sentence) if is_votes else ("warning", f"{sentence} Or ratings on a continuous scale?")
    elif np.median(std) < 0.01 * (high - low):
        median = f"the median mos_std is {np.median(std):.3g} on a range of {high - low:.4g}"
        yield "warning", f"{median}: units of another scale?"


def check_scenes(rows: Sequence[ManifestRow], known: PublicDataset | None) -> Iterator[Remark]:
    """Labels that are scaled inside each scene say so with ``scene_id``."""
    if all(row.scene_id is not None for row in rows):
        return
    if known is not None and known.per_scene:
        yield "error", "labels are comparable inside a scene only, so every row needs its scene_id"
        return
    labels_of = grouped((row.ref_id, row.mos) for row in rows if row.ref_id is not None)
    ends = np.array([(min(labels), max(labels)) for labels in labels_of.values() if len(labels) > 2])
    if len(ends) >= 5 and np.allclose(ends, ends[0], rtol=1e-6) and ends[0, 0] < ends[0, 1]:
        yield (
            "warning",
            f"each of {len(ends)} references has labels from exactly {ends[0, 0]:.6g} to {ends[0, 1]:.6g}: scaled "
            "inside each scene? Then they are not comparable across scenes, and rows need a scene_id",
        )


def check_references(rows: Sequence[ManifestRow]) -> Iterator[Remark]:
    """Rows of a dataset that shows its contents several times say which content each shows."""
    if problem := without_contents(rows):
        yield "error", problem


def _scale(rows: Sequence[ManifestRow]) -> tuple[float, float]:
    """Both ends as the first row states them, else those of the labels."""
    low, high, labels = rows[0].scale_min, rows[0].scale_max, [row.mos for row in rows]
    return min(labels) if low is None else low, max(labels) if high is None else high
