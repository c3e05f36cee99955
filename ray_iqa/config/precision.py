"""How the light scorer's image tower is rounded; its head is always float32."""

from typing import Literal

from ray_iqa.errors import ConfigError

Precision = Literal["fp32", "bf16", "int8"]
"""bf16 is for GPUs, int8 for CPUs; see `ray_iqa.rali.model.precision.in_precision`."""


def check_precision(precision: Precision, device: str) -> None:
    """Refuse what torch does not have.

    Raises:
        ConfigError: int8 anywhere but on a CPU.
    """
    if precision == "int8" and device != "cpu":
        raise ConfigError(f"precision int8 needs device cpu, got {device!r}; take bf16 there")
