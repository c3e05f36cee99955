"""Train a vision-language model to judge image quality by reasoning, then make that judgement cheap.

``ray_iqa.load`` gives a scorer: see `ray_iqa.scoring`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray_iqa.scoring import Scorer, load

__version__ = "0.2.0"
__all__ = ["Scorer", "__version__", "load"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - of the module that is imported when it is needed
    if name in ("Scorer", "load"):
        from ray_iqa import scoring

        return getattr(scoring, name)
    raise AttributeError(f"module 'ray_iqa' has no attribute {name!r}")
