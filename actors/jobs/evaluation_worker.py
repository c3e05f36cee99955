"""One model of an evaluation in a process of its own."""

from collections.abc import Sequence
from pathlib import Path

import ray

from actors.cluster.engine_start import engine_start
from ray_iqa.answers.verdict import Verdict
from ray_iqa.config.jobs.evaluate import EvalConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.evaluation.scorers.column import ColumnScorer
from ray_iqa.evaluation.scorers.scorer import ModelSpec, OnImages, Scorer
from ray_iqa.scoring import open_scorer as open_picture_scorer
from ray_iqa.seeds import derive_seed
from ray_iqa.types import LabelledImage


class EvaluationWorker:
    """Any scorer behind one method; it is loaded in the worker's process only."""

    def __init__(self, model: ModelSpec, config: EvalConfig) -> None:
        with engine_start():
            self._scorer = open_scorer(model, config)

    def ready(self) -> bool:
        """Answers once the scorer is loaded."""
        return True

    def predict(self, images: Sequence[LabelledImage]) -> list[Verdict]:
        """See `Scorer.predict`."""
        return self._scorer.predict(images)


EvaluationActor = ray.remote(EvaluationWorker)


def open_scorer(model: ModelSpec, config: EvalConfig) -> Scorer:
    """Load a model.

    Raises:
        ConfigError, DataError: it is not what it was named as.
    """
    match model.kind:
        case "column":
            file, _, column = model.source.rpartition(":")
            return ColumnScorer(Path(file), column)
        case "policy":
            from ray_iqa.backends.vllm.policy_scorer import PolicyScorer

            policy = PolicyConfig(model=model.source, **config.policy.model_dump())
            return PolicyScorer(policy, config.rollout, config.decoding, derive_seed(config.seed, "eval"))
        case _:
            return OnImages(open_picture_scorer(model, config.cluster.device))
