"""What every configuration section has in common."""

import logging
from collections.abc import Iterator
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

from ray_iqa.errors import ConfigError

logger = logging.getLogger(__name__)


def put(tree: dict[str, Any], key: str, value: object, place: str) -> None:  # Any: YAML values
    """Set the value of a dotted key in nested sections, which are made where they are missing.

    Raises:
        ConfigError: a part of the key is no section; begins with ``place``.
    """
    *parents, leaf = key.split(".")
    for parent in parents:
        if tree.get(parent) is None:
            tree[parent] = {}
        tree = tree[parent]
        if not isinstance(tree, dict):
            raise ConfigError(f"{place}: {parent} is a value, not a section")
    tree[leaf] = value


class Section(BaseModel):
    """Frozen, no unknown keys; field docstrings become the description of the key."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    retired: ClassVar[dict[str, str]] = {}
    """Keys of earlier versions that had one value, and how a file calls them; they are passed over."""
    moved: ClassVar[dict[str, str]] = {}
    """Keys of earlier versions, and what says the same now."""

    @model_validator(mode="before")
    @classmethod
    def _without_retired(cls, values: Any) -> Any:  # noqa: ANN401 - whatever was passed, pydantic says what is wrong
        if not isinstance(values, dict):
            return values
        values = cls.renamed(values)
        if gone := [f"{key} is {now} now" for key, now in cls.moved.items() if key in values]:
            raise ValueError("; ".join(gone))
        for key in cls.retired.keys() & values.keys():
            logger.warning("the key %s is not needed any more: leave it out", cls.retired[key])
        return {key: value for key, value in values.items() if key not in cls.retired}

    @classmethod
    def renamed(cls, values: dict[str, Any]) -> dict[str, Any]:  # Any: YAML values
        """The values with keys of earlier versions under their present names."""
        return values

    def _disagreements(self) -> Iterator[str]:
        """A sentence on each set of values that do not go together, which names them all."""
        yield from ()

    @model_validator(mode="after")
    def _values_agree(self) -> Self:
        if found := list(self._disagreements()):
            raise ValueError("; ".join(found))
        return self
