"""The root configuration of `ray-iqa batch-score`; only the composition root sees it whole."""

from collections.abc import Iterator

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.config.pictures import PicturesConfig
from ray_iqa.config.precision import Precision
from ray_iqa.config.section import Section


class ScoringPipelineConfig(Section):
    """How the work is spread; nothing here changes a row."""

    batch_size: PositiveInt = 256
    """Pictures per task that decodes, per call of a scorer and per output file."""
    min_scorers: PositiveInt = 1
    max_scorers: PositiveInt = 1
    """Scorers start as the queue grows, and are given up when it is empty."""
    gpus_per_scorer: NonNegativeFloat = 0.0
    """0 scores on CPUs; a fraction shares a GPU."""
    cpus_per_scorer: PositiveFloat = 0.75
    num_threads: PositiveInt | None = None
    """CPU threads of one scorer; None leaves it to Ray."""
    cpus_per_decoder: PositiveFloat = 0.25
    """A CPU scores and decodes in turn: a scorer with 0.75 and a decoder with 0.25 fill it."""
    profile: str | None = None
    """File for a trace of a scorer's third batch, which Perfetto opens; its table's name has ``.txt`` added."""

    def _disagreements(self) -> Iterator[str]:
        if self.max_scorers < self.min_scorers:
            yield f"max_scorers must be at least min_scorers, got {self.max_scorers} < {self.min_scorers}"


class BatchScoreConfig(Section):
    """Everything `ray-iqa batch-score` needs."""

    run_dir: str
    """Gets ``scores/*.parquet`` and ``run.json`` with the throughput of every job; the same directory resumes."""
    images: PicturesConfig
    model: str
    """Folder of a light scorer, on a file system that every node sees."""
    precision: Precision = "fp32"
    """Of the image tower. bf16 is for GPUs; int8 for CPUs."""
    pipeline: ScoringPipelineConfig = ScoringPipelineConfig()
    cluster: ClusterConfig = ClusterConfig()

    @property
    def device(self) -> str:
        """Where towers run, as torch spells it."""
        return "cuda" if self.pipeline.gpus_per_scorer else "cpu"
