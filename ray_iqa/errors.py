"""Errors named by what the reader must do about them."""

import difflib
from collections.abc import Iterable


def hint(name: str, known: Iterable[str]) -> str:
    """The known name that is nearest to an unknown one, as the end of a sentence; empty if none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


class RayIqaError(Exception):
    """Base of every error raised for the user; its message is one complete sentence."""


class ConfigError(RayIqaError, ValueError):
    """Change the configuration or the command line."""


class DivergedError(ConfigError):
    """Training ruined the policy: learn more gently, from a checkpoint before."""


class DataError(RayIqaError, ValueError):
    """Change the manifest or the image it names."""


class StatisticsError(DataError):
    """The numbers at hand have no answer to this question; ask another one or bring other numbers."""


class ResourceError(RayIqaError, RuntimeError):
    """Ask for less, or give the machine or cluster more."""


class OutputError(RayIqaError, OSError):
    """Choose another place for an output, or make room in this one."""


class LearnerLostError(ResourceError):
    """A learner rank died or hung: tear the gang down and continue from the last checkpoint."""


class WeightTransferError(RayIqaError, RuntimeError):
    """A sampler did not take over the learner's weights; it must be replaced before it answers again."""


class CheckpointError(RayIqaError, RuntimeError):
    """The run directory cannot be resumed as it is."""
