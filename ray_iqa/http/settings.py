"""What may change while the service runs."""

from dataclasses import dataclass, field

from ray_iqa.config.serve import LimitsConfig
from ray_iqa.http.fetch import Fetcher


@dataclass(slots=True)
class Settings:
    """The limits now in force; whoever deploys may replace them at any time."""

    limits: LimitsConfig
    fetcher: Fetcher = field(default_factory=Fetcher)
