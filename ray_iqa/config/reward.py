"""Section ``reward``: how answers become rewards and advantages."""

from typing import ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from ray_iqa.config.section import Section


class RewardConfig(Section):
    """The rank reward and its weightings."""

    moved: ClassVar[dict[str, str]] = {"advantage": "learner.loss"}

    type: Literal["fidelity", "binary", "probability_average", "fixed_variance", "threshold", "gaussian_difference"] = (
        "fidelity"
    )
    """VisualQuality-R1's fidelity, its three ablations, Q-Insight's threshold, MR-IQA's Gaussian difference."""
    variance_floor: PositiveFloat = 1e-6
    """Added to the pooled variance inside the Thurstone square root (the paper's gamma)."""
    fidelity_floor: NonNegativeFloat = 1e-6
    """Added inside each square root of the fidelity (published code only)."""
    format_weight: NonNegativeFloat = 1.0
    """Weight of the 0/1 format reward."""
    pairing_block: int | None = Field(default=None, ge=2)
    """Compare only images of the same block of a dataset's images (8 in the paper); None: the whole step.

    Blocks are even: of this size where it divides a dataset's images of the step, a little larger elsewhere.
    """
    threshold: PositiveFloat = 0.35
    """Of type threshold: |score - MOS mapped to 1-5| below this earns 1."""
    parser: Literal["strict", "published"] = "strict"
    """published parses as the paper's code does (last answer block or whole text, first number, no range check)."""
