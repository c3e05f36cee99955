"""What label noise allows, for datasets that tell how far their raters disagree."""

from collections.abc import Sequence

from ray_iqa.data.rows import ManifestRow
from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.noise_ceiling import NoiseCeiling, noise_ceiling

_NUM_RATINGS = {"kadid10k": 30, "koniq10k": 120}
"""Ratings per image that the authors of a public dataset state."""


def ceiling(rows: Sequence[ManifestRow], num_ratings: int | None, seed: int) -> NoiseCeiling | str:
    """Ceiling of one dataset, or a sentence that says why there is none; an empty one where nobody could expect one.

    Args:
        rows: of one dataset.
        num_ratings: per image; None takes what is known of a public dataset.
        seed: of the simulation.
    """
    name = rows[0].dataset
    stds = [row.mos_std for row in rows if row.mos_std is not None]
    if len(stds) < len(rows) or len(rows) < 2:
        return ""
    if rows[0].group_id is not None:
        return f"{name}: no ceiling, its labels are comparable inside scenes only."
    ratings = num_ratings or _NUM_RATINGS.get(name)
    if ratings is None:
        return f"{name}: for the ceiling that label noise allows, say num_ratings.{name}=N (ratings per image)."
    try:
        return noise_ceiling([row.mos for row in rows], stds, ratings, seed=seed)
    except StatisticsError as error:
        return f"{name}: no ceiling, {error}."
