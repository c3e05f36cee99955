"""What a check has to say."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
Remark = tuple[Severity, str]
"""What one check says of one dataset: how grave, and the sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence about a dataset.

    An ``error`` makes numbers wrong or impossible, a ``warning`` is to be looked at, a ``note`` says what could not
    be checked.
    """

    severity: Severity
    check: str  # count, labels, direction, spread, references, files, leakage
    dataset: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity:7} {self.dataset}, {self.check}: {self.message}"
