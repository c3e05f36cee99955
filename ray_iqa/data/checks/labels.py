"""Checks that need the labels of one dataset only: count, scale, spread, scenes."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ray_iqa.data.checks.finding import Finding, Severity
from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.votes import share_below_votes

Vector = NDArray[np.float64]

_FEW = 0.01  # share of rows that may be odd without a finding
_ANY_VOTES = 0.1  # share below the spread of whole-number votes; KonIQ-10k has 0.03, its variances 0.65


def check_count(rows: Sequence[ManifestRow], known: PublicDataset) -> Iterator[Finding]:
    """The number of rows is that of the public dataset."""
    surplus = len(rows) - known.num_images
    if surplus:
        how = f"{surplus:,} more" if surplus > 0 else f"{-surplus:,} fewer"
        message = f"{known.title} has {known.num_images:,} images, got {len(rows):,}, {how}"
        yield Finding(severity="error", check="count", dataset=known.name, message=message)


def check_scale(rows: Sequence[ManifestRow], known: PublicDataset | None) -> Iterator[Finding]:
    """Labels lie on the scale of the dataset and fill it."""
    dataset, labels = rows[0].dataset, np.array([row.mos for row in rows])
    if known is not None and known.scale is not None:
        low, high = known.scale
        outside = int(((labels < low) | (labels > high)).sum())
        if outside:
            message = f"{outside:,} labels lie outside the scale {low} to {high} ({known.labels})"
            yield Finding(severity="error", check="labels", dataset=dataset, message=message)
    else:
        low, high = _scale(rows, labels)
    if np.ptp(labels) == 0:
        message = f"all {len(rows):,} labels are {rows[0].mos!r}"
        yield Finding(severity="error", check="labels", dataset=dataset, message=message)
    elif np.ptp(labels) < 0.3 * (high - low):
        message = (
            f"labels go from {labels.min():.4g} to {labels.max():.4g} on a scale of {low} to {high}: another scale?"
        )
        yield Finding(severity="warning", check="labels", dataset=dataset, message=message)


def check_spread(rows: Sequence[ManifestRow], known: PublicDataset | None) -> Iterator[Finding]:
    """``mos_std`` is a standard deviation in the unit of the labels."""
    with_std = [row for row in rows if row.mos_std is not None]
    if not with_std:
        return
    dataset, labels = rows[0].dataset, np.array([row.mos for row in with_std])
    std = np.array([row.mos_std for row in with_std], dtype=np.float64)
    low, high = _scale(rows, np.array([row.mos for row in rows]))
    too_large = float((std > (high - low) / 2).mean())
    is_votes = known is not None and known.whole_number_votes
    below_votes = share_below_votes(labels, std) if (low, high) == (1, 5) and (is_votes or known is None) else 0.0
    message = None
    severity: Severity = "error"
    if too_large > _FEW:
        message = (
            f"{too_large:.0%} of mos_std exceed half the range {low:.4g} to {high:.4g}: a variance, or other units?"
        )
    elif below_votes > _ANY_VOTES:
        severity = "error" if is_votes else "warning"
        message = (
            f"{below_votes:.0%} of mos_std are smaller than whole-number ratings with these means can have: a "
            f"variance, or a standard error of the mean?{'' if is_votes else ' Or ratings on a continuous scale?'}"
        )
    elif np.median(std) < 0.01 * (high - low):
        severity = "warning"
        message = f"the median mos_std is {np.median(std):.3g} on a range of {high - low:.4g}: units of another scale?"
    if message is not None:
        yield Finding(severity=severity, check="spread", dataset=dataset, message=message)


def check_scenes(rows: Sequence[ManifestRow], known: PublicDataset | None) -> Iterator[Finding]:
    """Labels that are scaled inside each scene say so with ``group_id``."""
    dataset = rows[0].dataset
    if all(row.group_id is not None for row in rows):
        return
    if known is not None and known.per_scene:
        message = "labels are comparable inside a scene only, so every row needs its group_id"
        yield Finding(severity="error", check="labels", dataset=dataset, message=message)
        return
    labels_of: dict[str, list[float]] = {}
    for row in rows:
        if row.ref_id is not None:
            labels_of.setdefault(row.ref_id, []).append(row.mos)
    ends = np.array([(min(labels), max(labels)) for labels in labels_of.values() if len(labels) > 2])
    if len(ends) >= 5 and np.allclose(ends, ends[0], rtol=1e-6) and ends[0, 0] < ends[0, 1]:
        message = (
            f"each of {len(ends)} references has labels from exactly {ends[0, 0]:.6g} to {ends[0, 1]:.6g}: scaled "
            "inside each scene? Then they are not comparable across scenes, and rows need a group_id"
        )
        yield Finding(severity="warning", check="labels", dataset=dataset, message=message)


def _scale(rows: Sequence[ManifestRow], labels: Vector) -> tuple[float, float]:
    low, high = rows[0].scale_min, rows[0].scale_max
    return (float(labels.min()) if low is None else low, float(labels.max()) if high is None else high)
