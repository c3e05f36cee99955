"""The root configuration of `ray-iqa annotate`; only the composition root sees it whole."""

from collections.abc import Iterator

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.config.pictures import PicturesConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rali import BackboneConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.config.section import Section


class AnnotationPipelineConfig(Section):
    """How the work is spread; nothing here changes a row."""

    batch_size: PositiveInt = 64
    """Pictures per call of an engine, and per output file."""
    min_text_encoders: PositiveInt = 1
    max_text_encoders: PositiveInt = 1
    gpus_per_text_encoder: NonNegativeFloat = 0.0
    """0 embeds texts on a CPU; a fraction shares a GPU."""
    cpus_per_decoder: PositiveFloat = 0.5
    """Reserved for each task that decodes pictures; the others fill the CPUs that are left."""

    def _disagreements(self) -> Iterator[str]:
        if self.max_text_encoders < self.min_text_encoders:
            yield (
                f"max_text_encoders must be at least min_text_encoders, "
                f"got {self.max_text_encoders} < {self.min_text_encoders}"
            )


class AnnotateConfig(Section):
    """Everything `ray-iqa annotate` needs."""

    run_dir: str
    """Gets ``records/*.parquet``; the same directory resumes."""
    seed: NonNegativeInt = 0
    """Mixed with each image's id, so that a text depends on neither batch nor worker."""
    images: PicturesConfig
    texts_per_image: PositiveInt = 4
    """Reasonings kept of each image's ``rollout.num_completions``; all of them count for the teacher's score."""
    policy: PolicyConfig
    rollout: VllmRolloutConfig = VllmRolloutConfig()
    backbone: BackboneConfig = BackboneConfig()
    """The CLIP whose text tower embeds the texts; the fit must use the same."""
    pipeline: AnnotationPipelineConfig = AnnotationPipelineConfig()
    cluster: ClusterConfig = ClusterConfig()

    def _disagreements(self) -> Iterator[str]:
        if self.rollout.num_completions < self.texts_per_image:
            yield (
                f"rollout.num_completions must be at least texts_per_image, "
                f"got {self.rollout.num_completions} < {self.texts_per_image}"
            )
