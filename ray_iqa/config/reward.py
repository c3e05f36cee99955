"""Section ``reward``: how answers become rewards."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from ray_iqa.config.section import Section


class RewardTerm(Section):
    """One summand of the reward."""

    term: str
    """fidelity (VisualQuality-R1), its ablations binary, probability_average and fixed_variance, threshold
    (Q-Insight), gaussian_difference (MR-IQA), format, or a function of yours: file.py:function or
    package.module:function (docs/training.md)."""
    weight: float = 1.0
    question: str | None = None
    """The question of policy.questions whose answers earn it; null: policy.prompt."""

    @property
    def name(self) -> str:
        """In metrics and rollouts."""
        function = self.term.rpartition(":")[2]
        return function if self.question is None else f"{self.question}_{function}"


class RewardConfig(Section):
    """The terms of the reward and their constants."""

    moved: ClassVar[dict[str, str]] = {"advantage": "learner.loss"}
    terms: list[RewardTerm] = Field(
        default=[RewardTerm(term="fidelity"), RewardTerm(term="format")], min_length=1, validate_default=True
    )
    """What an answer earns is their weighted sum."""
    variance_floor: PositiveFloat = 1e-6
    """Added to the pooled variance inside the Thurstone square root (the paper's gamma)."""
    fidelity_floor: NonNegativeFloat = 1e-6
    """Added inside each square root of the fidelity (published code only)."""
    pairing_block: int | None = Field(default=None, ge=2)
    """Compare only images of the same block of a dataset's images (8 in the paper); None: the whole step.

    Blocks are even: of this size where it divides a dataset's images of the step, a little larger elsewhere.
    """
    threshold: PositiveFloat = 0.35
    """Of the term threshold: |score - MOS mapped to the question's scale| below this earns 1."""
    parser: Literal["strict", "published"] = "strict"
    """published parses as the paper's code does (last answer block or whole text, first number, no range check)."""

    @classmethod
    def renamed(cls, values: dict[str, Any]) -> dict[str, Any]:  # Any: YAML values
        """The keys type and format_weight of 0.2 as terms."""
        if "terms" in values or not values.keys() & {"type", "format_weight"}:
            return values
        kept = {key: value for key, value in values.items() if key not in ("type", "format_weight")}
        rank, weight = values.get("type", "fidelity"), values.get("format_weight", 1.0)
        written = ({"term": rank, "weight": 1.0}, {"term": "format", "weight": weight})
        return kept | {"terms": [term | {"question": None} for term in written]}

    def _disagreements(self) -> Iterator[str]:
        names = [term.name for term in self.terms]
        if twice := {name for name in names if names.count(name) > 1}:
            yield f"each of terms must have a name of its own, got {', '.join(sorted(twice))} twice"
