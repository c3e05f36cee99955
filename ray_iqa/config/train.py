"""The root configuration of `ray-iqa train`; only the composition root sees it whole."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from ray_iqa.config.cluster import ClusterConfig
from ray_iqa.config.learner import DeepSpeedLearnerConfig, WeightTransferConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.reward import RewardConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.config.section import Section


class ScheduleConfig(Section):
    """How long the loop runs and what it does periodically."""

    num_steps: PositiveInt
    evaluate_every: PositiveInt = 50
    checkpoint_every: PositiveInt = 50
    keep_checkpoints: PositiveInt = 2
    """Newest complete checkpoints kept, beside the one with the best validation SRCC."""
    keep_rollouts: PositiveInt | None = None
    """Newest steps whose rollouts are kept in rollouts/; null keeps all."""
    checkpoint_uri: str | None = None
    """Where checkpoints, copies of the logs and the policy go when nodes share no file system: s3://, gs://, abfss://,
    file:// or fsspec+<protocol>://. A driver with an empty disk resumes from it. None: run_dir."""

    def _disagreements(self) -> Iterator[str]:
        if self.checkpoint_uri is not None and "://" not in self.checkpoint_uri:
            yield (
                f"checkpoint_uri must be a URI like s3://bucket/folder, got {self.checkpoint_uri!r}; "
                "leave it out to keep checkpoints in run_dir"
            )


class ManifestConfig(Section):
    """One manifest of the training data."""

    manifest: str
    """csv, jsonl or parquet, a path or URL."""
    question: str | None = None
    """What is asked about its images, by its name in policy.questions; null: policy.prompt."""


class DataConfig(Section):
    """Labelled images and how a step's batch is composed."""

    train: list[str | ManifestConfig] = Field(min_length=1)
    """Manifests (csv, jsonl, parquet), paths or URLs, or mappings of manifest and question; datasets mix without
    re-scaling their labels."""
    train_split: str | None = "train"
    """Rows whose ``split`` column has this value; None takes every row."""
    images_per_step: PositiveInt = 128
    """B, images sampled per step over all datasets."""
    min_partners: PositiveInt = 3
    """Every image of a step meets at least this many comparable images of its dataset."""

    mixture: Literal["proportional", "uniform"] | dict[str, PositiveFloat] = "proportional"
    """How much of a step each dataset has: by its number of images, all the same as published, or weights by name."""

    @property
    def parts(self) -> list[ManifestConfig]:
        """``train``, each as a mapping."""
        return [ManifestConfig(manifest=part) if isinstance(part, str) else part for part in self.train]


class EvaluationConfig(Section):
    """Validation while training."""

    manifests: list[str] = Field(min_length=1)
    split: str | None = "val"
    num_completions: PositiveInt = 4
    """Completions averaged per image, drawn with the rollout's temperature."""
    max_images: PositiveInt | None = 512
    """Per dataset: the first ones in an order that depends on the image ids only."""


class TrainConfig(Section):
    """Everything `ray-iqa train` needs."""

    run_dir: str
    """Checkpoints, metrics, TensorBoard, rollouts and the exported policy; the same directory resumes."""
    seed: NonNegativeInt = 0
    wandb: str | None = None
    """PROJECT or ENTITY/PROJECT of Weights & Biases that shows the run beside TensorBoard; null: none."""
    schedule: ScheduleConfig
    data: DataConfig
    evaluation: EvaluationConfig
    policy: PolicyConfig
    rollout: VllmRolloutConfig = VllmRolloutConfig()
    reward: RewardConfig = RewardConfig()
    learner: DeepSpeedLearnerConfig = DeepSpeedLearnerConfig()
    weights: WeightTransferConfig = WeightTransferConfig()
    cluster: ClusterConfig = ClusterConfig()

    def _disagreements(self) -> Iterator[str]:
        if self.data.images_per_step <= self.data.min_partners:
            yield (
                f"data.images_per_step must exceed data.min_partners, "
                f"got {self.data.images_per_step} <= {self.data.min_partners}"
            )
        block = self.reward.pairing_block
        if block is not None and block <= self.data.min_partners:
            yield f"reward.pairing_block must exceed data.min_partners, got {block} <= {self.data.min_partners}"
        if self.rollout.max_tokens >= self.rollout.max_model_len:
            yield (
                f"rollout.max_tokens must be below rollout.max_model_len, "
                f"got {self.rollout.max_tokens} >= {self.rollout.max_model_len}"
            )
        if problem := self.learner.too_long_warmup(self.schedule.num_steps):
            yield problem
        if self.weights.type != "object_store" and self.cluster.device == "cpu":
            yield f"weights.type {self.weights.type} needs cluster.device cuda, got cpu"
        if self.weights.type != "object_store" and self.rollout.max_staleness != 0:
            yield (  # a worker replaced while the learner works could only get weights that are too new
                f"weights.type {self.weights.type} needs rollout.max_staleness 0, got {self.rollout.max_staleness}"
            )
        yield from self._disagreements_on_questions()
        if self.rollout.temperature != 1.0:
            yield (  # at .7 the gradient's cosine to that of the sampled policy is .992, at .3 .943
                "rollout.temperature must be 1 in training, where the gradient belongs to the policy at temperature 1, "
                f"got {self.rollout.temperature}"
            )
        if self.learner.max_redraws and self.rollout.max_staleness:
            yield (
                "learner.max_redraws needs rollout.max_staleness 0, for the samplers would be at the next step, "
                f"got {self.rollout.max_staleness}"
            )
        yield from self._disagreements_on_gpus()
        workers, ranks = self.rollout.min_workers, self.learner.num_ranks
        if self.cluster.placement == "per_node" and max(workers, ranks) % min(workers, ranks):
            yield (
                "cluster.placement per_node needs rollout.min_workers and learner.num_ranks that divide each other, "
                f"got {workers} and {ranks}"
            )

    def _disagreements_on_questions(self) -> Iterator[str]:
        asked = {part.question for part in self.data.parts}
        rewarded = {term.question for term in self.reward.terms}
        if unknown := (asked | rewarded) - {None, *self.policy.questions}:
            yield f"policy.questions must have those of data.train and reward.terms, it has no {unknown.pop()!r}"
        if lacking := asked - rewarded:
            yield (
                f"each question of data.train needs a reward term, there is none for {lacking.pop() or 'policy.prompt'}"
            )

    def _disagreements_on_gpus(self) -> Iterator[str]:
        """What would fail or run out of memory on GPUs long after the start."""
        together = self.cluster.placement == "colocated"
        if self.weights.type == "ipc" and not together:
            yield f"weights.type ipc needs cluster.placement colocated, got {self.cluster.placement}"
        if self.weights.type == "ipc" and self.rollout.most_workers > self.learner.num_ranks:
            yield (  # an engine reads the memory of the rank on its own GPU
                f"weights.type ipc needs a learner rank for each of rollout.max_workers, "
                f"got {self.learner.num_ranks} ranks for {self.rollout.most_workers} workers"
            )
        if self.weights.type == "nccl" and together:
            yield "weights.type nccl needs GPUs of their own for engines and ranks; use ipc if colocated"
        if together and self.cluster.device == "cuda" and self.rollout.sleep_when_idle and self.rollout.max_staleness:
            yield (  # sampling ahead wakes the engine while the learner works
                f"rollout.sleep_when_idle needs rollout.max_staleness 0, got {self.rollout.max_staleness}"
            )
        if together and self.rollout.tensor_parallel_size > 1:
            yield (
                "cluster.placement colocated needs rollout.tensor_parallel_size 1, "
                f"got {self.rollout.tensor_parallel_size}"
            )
