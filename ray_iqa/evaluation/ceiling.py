"""What label noise allows, for datasets that tell how far their raters disagree."""

from collections.abc import Mapping, Sequence

from ray_iqa.data.rows import ManifestRow
from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.noise_ceiling import NoiseCeiling, noise_ceiling

_NUM_RATINGS = {"kadid10k": 30, "koniq10k": 107, "tid2013": 38}
"""Ratings per image of public datasets: as stated, the mean of 93 to 157, the median of what the labels tell."""
_NEEDS_NOISE = "ceiling, outlier ratio and AUC of pairs"  # what is said about label noise


def ratings_per_image(dataset: str, stated: Mapping[str, int]) -> int | None:
    """As stated by dataset, else what is known of a public one; None where nobody knows."""
    return stated.get(dataset, _NUM_RATINGS.get(dataset))


def ceiling(rows: Sequence[ManifestRow], num_ratings: int | None, seed: int) -> NoiseCeiling | str:
    """Ceiling of one dataset, or a sentence that says why there is none.

    Args:
        rows: of one dataset.
        num_ratings: per image; None where nobody knows.
        seed: of the simulation.
    """
    name = rows[0].dataset
    stds = [row.mos_std for row in rows if row.mos_std is not None]
    if rows[0].scene_id is not None:
        return f"{name}: no {_NEEDS_NOISE}, its labels are comparable inside scenes only."
    if len(stds) < len(rows) or len(rows) < 2:
        return f"{name}: no {_NEEDS_NOISE}, for they need mos_std for every image."
    if num_ratings is None:
        return f"{name}: for {_NEEDS_NOISE}, say num_ratings.{name}=N (ratings per image)."
    try:
        return noise_ceiling([row.mos for row in rows], stds, num_ratings, seed=seed)
    except StatisticsError as error:
        return f"{name}: no ceiling, {error}."
