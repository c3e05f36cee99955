"""The configuration of `ray-iqa fit-rali`: one section per stage, one key per ablation of the paper."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ray_iqa.config.section import Section


class BackboneConfig(Section):
    """The CLIP whose image tower becomes the scorer."""

    name: str = "ViT-L-14-336-quickgelu"
    """An open_clip model, ``hf-hub:owner/name``, or a local folder with ``open_clip_config.json``."""
    pretrained: str | None = "openai"
    """Tag of open_clip or weights file; null where the name brings weights (hub, folder), else for random ones."""


class AlignmentConfig(Section):
    """Stage 1: the image tower learns to place a picture next to its own reasoning texts."""

    enabled: bool = True
    """False is the paper's ablation without alignment: the backbone as it is."""
    targets: Literal["plain", "soft"] = "plain"
    """plain: identical texts are positives of each other, all others negatives. soft: shares by text similarity."""
    soft_temperature: PositiveFloat = 0.05
    """Of the text similarities that soft targets are made of."""
    epochs: PositiveInt = 8
    batch_size: PositiveInt = 256
    """Pairs of one step over all workers; every other text in it is a negative."""
    learning_rate: PositiveFloat = 1e-5
    """Peak of the last block of the image tower."""
    projection_learning_rate: PositiveFloat = 1e-4
    """Peak of the projection into the joint space and of the logit scale."""
    layer_decay: float = Field(default=0.8, gt=0.0, le=1.0)
    """Each block learns this much slower than the one after it."""
    weight_decay: NonNegativeFloat = 0.05
    """Of matrices only; AdamW."""
    warmup_fraction: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Share of the steps in which the rate rises linearly; a cosine to zero follows."""
    max_grad_norm: PositiveFloat = 1.0


class ProjectionConfig(Section):
    """Stage 2a: PCA of the image features."""

    enabled: bool = True
    """False is the paper's ablation without PCA: features as they are."""
    num_components: PositiveInt = 512


class BasisConfig(Section):
    """Stage 2b: k-means centres and their mean scores."""

    bucketed: bool = True
    """False is the paper's ablation without buckets: one k-means over all images."""
    num_buckets: PositiveInt = 240
    """Equal widths between the lowest and the highest training score."""
    num_vectors: PositiveInt = 250
    kmeans_restarts: PositiveInt = 10

    def _disagreements(self) -> Iterator[str]:
        if self.bucketed and self.num_vectors < self.num_buckets:
            yield (
                f"num_vectors must be at least num_buckets, got {self.num_vectors} < {self.num_buckets}; "
                "every bucket with images has a vector of its own"
            )


class FineTuningConfig(Section):
    """Stage 3: basis vectors and scores learn by squared error; the tower stays."""

    enabled: bool = True
    """False is the paper's ablation without score fine-tuning: cluster means as they are."""
    epochs: PositiveInt = 100
    patience: PositiveInt = 10
    """Stop after this many epochs without a lower error on the held-out slice."""
    batch_size: PositiveInt = 256
    vector_learning_rate: PositiveFloat = 1e-3
    score_learning_rate: PositiveFloat = 1e-2


class RaliFitConfig(Section):
    """Everything that decides what a fit on given records returns."""

    seed: NonNegativeInt = 0
    backbone: BackboneConfig = BackboneConfig()
    target: Literal["mos", "teacher"] = "mos"
    """mos: the label mapped to 1-5, one data set. teacher: the policy's mean score, needs no label, mixes data sets."""
    texts_per_image: PositiveInt = 4
    """Reasonings per image used for alignment; 1 is the paper's ablation without seed augmentation."""
    validation_fraction: float = Field(default=0.1, gt=0.0, lt=0.5)
    """Share of the training images held out to choose the epoch and to stop fine-tuning."""
    crops: NonNegativeInt = 0
    """Squares of each picture's own pixels that the scorer looks at beside the whole picture at its tower's size; 0 is
    the paper's scorer. They show fine detail of pictures much larger than the tower, and each costs as much again."""
    temperature: PositiveFloat = 0.07
    """Of the softmax over basis vectors."""
    alignment: AlignmentConfig = AlignmentConfig()
    projection: ProjectionConfig = ProjectionConfig()
    basis: BasisConfig = BasisConfig()
    fine_tuning: FineTuningConfig = FineTuningConfig()
