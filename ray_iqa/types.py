"""The values that travel through a training step, one type per stage.

Letters: B images (= groups) per step, K completions per image, P prompt tokens, T completion tokens.
Arrays are numpy; Ray maps them into workers read-only, so whoever needs a tensor copies.
"""

import math
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FinishReason = Literal["stop", "length", "abort"]


@dataclass(frozen=True, slots=True)
class Scale:
    """Ends of a score's scale."""

    minimum: float = 1.0
    maximum: float = 5.0


SCALE = Scale()
"""Of every score here, and of labels that were mapped to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImage:
    """One image and its human label on the dataset's own scale.

    ``mos`` is never re-scaled; ``higher_is_better`` is False for DMOS-like labels. Labels of two
    images may be compared only when their ``label_scale`` is the same.
    """

    image_id: str
    image_path: str
    dataset: str
    mos: float
    mos_std: float | None
    higher_is_better: bool
    scene_id: str | None = None  # scene, in the few datasets whose labels are comparable inside a scene only
    content: str | None = None  # shared by the versions of one scene or reference
    distortion: str | None = None  # kind of distortion, where the manifest has it
    level: int | None = None  # of the distortion; 0 is pristine
    question: str | None = (
        None  # what the policy is asked about it, by its name in policy.questions; None: policy.prompt
    )

    @property
    def label_scale(self) -> tuple[str, ...]:
        """The dataset, the scene where it has scenes, and the question where it is not the policy's first."""
        return self.dataset, self.scene_id or "", *([] if self.question is None else [self.question])


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSpec:
    """How completions are drawn; everything explicit, nothing from a model's own defaults.

    ``top_k`` 0 and ``top_p`` 1 switch truncation off. ``seed`` is mixed with each image's id, so an
    image's completions do not depend on the batch or the worker it was sampled in.
    """

    num_completions: int  # K
    temperature: float
    top_k: int
    top_p: float
    max_tokens: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One sampled answer, end-of-turn token included when the policy wrote it."""

    token_ids: NDArray[np.int32]  # [T]
    logprobs: NDArray[np.float32]  # [T], of the sampled tokens, by the sampler
    text: str  # special tokens removed
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutGroup:
    """The K completions of one image, drawn by one policy version.

    ``problem`` says why nothing could be drawn, because the picture cannot be read or is too long; the completions are
    then aborted ones without tokens.
    """

    image: LabelledImage
    prompt_token_ids: NDArray[np.int32]  # [P], image tokens expanded, as the sampler saw them
    completions: tuple[Completion, ...]  # K
    policy_version: int
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A parsed completion: a score on the prompt's scale (1 to 5) and the reasoning before it."""

    score: float
    reasoning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseFailure:
    """A completion without a readable score, and why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardTable:
    """Everything the reward says about a step; fields are [B, K] unless they say otherwise.

    ``scores`` is NaN where ``parsed`` is False. An unparsed rollout keeps reward 0 of the built-in terms and stays
    ``trainable``, and so do the rollouts of an image without opponent, on their format reward alone; an aborted one
    does not.
    """

    scores: NDArray[np.float32]
    parsed: NDArray[np.bool_]
    terms: dict[str, NDArray[np.float32]]  # by name, without weights; NaN where a term says nothing about an image
    rewards: NDArray[np.float32]  # the weighted sum of the terms
    trainable: NDArray[np.bool_]
    opposed: NDArray[np.bool_]  # [B], whether the image had another to be compared with
    num_pairs: int  # unordered pairs of images compared in this step
    mean_label_gap: float  # mean |MOS gap| of those pairs over their label scale's range in the step; NaN without pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingGroup:
    """One image's trainable completions; the prompt is kept once so that the learner runs it once."""

    image_path: str
    question: str | None = None  # see `LabelledImage.question`
    prompt_token_ids: NDArray[np.int32]  # [P]
    completions: tuple[NDArray[np.int32], ...]  # up to K arrays [T_k]
    logprobs: tuple[NDArray[np.float32], ...] | None  # up to K arrays [T_k], by the sampler; None if none wrote these
    advantages: NDArray[np.float32]  # [up to K]; 1 makes the loss the cross-entropy of a given text


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingBatch:
    """What one optimizer step trains on."""

    groups: tuple[TrainingGroup, ...]
    policy_version: int  # of the sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerUpdate:
    """Outcome of one call of the learner."""

    policy_version: int  # updates taken so far; as before the call when it took none
    metrics: dict[str, float]
    problems: tuple[str, ...] = ()  # why images of this rank's share added nothing


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where a run stands. The one mutable value; the loop owns it, the learner saves it."""

    step: int = 0
    policy_version: int = 0  # updates taken; steps that taught nothing are not among them
    validation_srcc: float | None = None  # mean over datasets, of the newest validation
    best_srcc: float | None = None  # the highest so far

    def validated(self, srcc: float) -> bool:
        """Note a validation; whether it is the best so far."""
        self.validation_srcc = srcc
        is_best = math.isfinite(srcc) and (self.best_srcc is None or srcc > self.best_srcc)
        self.best_srcc = srcc if is_best else self.best_srcc
        return is_best

    def to_json(self) -> dict[str, float | None]:
        """Fields by name, None where a number does not exist."""
        return {
            name: value if value is not None and math.isfinite(value) else None for name, value in asdict(self).items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """How well predictions order and track the labels of one dataset.

    ``srcc`` and ``plcc`` are oriented so that +1 is perfect for lower-is-better labels too; NaN
    where a correlation does not exist. ``*_interval`` are 95 % intervals over contents, NaN with too few of them.
    """

    dataset: str
    num_images: int
    num_failed: int  # images without a single parsed answer
    num_contents: int  # of the predicted images: references, scenes, or images of their own
    srcc: float
    srcc_interval: tuple[float, float]
    plcc: float
    plcc_interval: tuple[float, float]
    parse_failure_rate: float  # of completions
    score_std: float  # between images, of the mean predicted score
    mos_std: float  # between images, of the labels mapped linearly to 1-5


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """All that a step leaves behind for people to look at."""

    step: int
    metrics: dict[str, float]
    groups: tuple[RolloutGroup, ...]  # B
    table: RewardTable
    advantages: NDArray[np.float32]  # [B, K]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One parameter of a snapshot or a broadcast."""

    name: str  # as `named_parameters` of the transformers model spells it
    shape: tuple[int, ...]
    dtype: str  # "float32", "bfloat16", ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """An answer of the policy, with the learner's log-probabilities of it about the picture of `weights.canary`.

    A sampler that holds the same weights must find the same numbers.
    """

    prompt_token_ids: NDArray[np.int32]  # [P], image tokens expanded
    token_ids: NDArray[np.int32]  # [T]
    logprobs: NDArray[np.float32]  # [T], temperature 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSnapshot:
    """All parameters of one policy version.

    A learner on a CPU hands out its parameters' own memory, so that writing them into the object store is the only
    copy: store or copy a snapshot before the next update.
    """

    policy_version: int
    manifest: tuple[TensorSpec, ...]
    values: tuple[NDArray[np.uint8], ...]  # the bytes of each parameter, in the manifest's order
    canary: Canary | None
    lora_scaling: float = 0.0
    """Where the manifest lists ``<name>.lora_A`` [R, I] and ``.lora_B`` [O, R], the weight is
    ``<name> + lora_scaling * lora_B @ lora_A``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightReceipt:
    """What a sampler says after installing a snapshot."""

    policy_version: int
    num_tensors: int
    canary_mean_abs: float  # |log-probability difference| over the canary's tokens; NaN without a canary
    canary_max_abs: float
