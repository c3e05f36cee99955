"""The root configuration of `ray-iqa fit-rali`; only the composition root sees it whole."""

from pydantic import Field, NonNegativeInt, PositiveInt

from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.config.rali import RaliFitConfig
from ray_iqa.config.section import Section


class FitWorkersConfig(Section):
    """The workers of stage 1; the result depends on their number by rounding only."""

    num_workers: PositiveInt = 1
    """One GPU each, or one process each on CPUs."""
    max_failures: NonNegativeInt = 3
    """Restarts of all workers from the last epoch's checkpoint before the job gives up."""
    num_threads: PositiveInt | None = None
    """CPU threads of one worker; None leaves it to Ray."""


class FitRaliConfig(Section):
    """Everything `ray-iqa fit-rali` needs."""

    run_dir: str
    """Gets checkpoints, curves and the artifact ``scorer``; the same directory resumes."""
    annotations: list[str] = Field(min_length=1)
    """Run directories of `ray-iqa annotate`, or parquet files."""
    fit: RaliFitConfig = RaliFitConfig()
    workers: FitWorkersConfig = FitWorkersConfig()
    cluster: ClusterConfig = ClusterConfig()
