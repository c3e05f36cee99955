"""What every configuration section has in common."""

import logging
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

logger = logging.getLogger(__name__)


class Section(BaseModel):
    """Frozen, no unknown keys; field docstrings become the description of the key."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    retired: ClassVar[dict[str, str]] = {}
    """Keys of earlier versions that had one value, and how a file calls them; they are passed over."""

    @model_validator(mode="before")
    @classmethod
    def _without_retired(cls, values: Any) -> Any:  # noqa: ANN401 - whatever was passed, pydantic says what is wrong
        if not isinstance(values, dict):
            return values
        for key in cls.retired.keys() & values.keys():
            logger.warning("the key %s is not needed any more: leave it out", cls.retired[key])
        return {key: value for key, value in values.items() if key not in cls.retired}
