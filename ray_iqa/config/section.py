"""What every configuration section has in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Frozen, no unknown keys; field docstrings become the description of the key."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
