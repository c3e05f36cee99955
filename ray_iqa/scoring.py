"""The score from Python, whatever gives it: `load` a model, call it with pictures."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_iqa.answers.verdict import Verdict
from ray_iqa.config.jobs.evaluate import Decoding
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.precision import Precision
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.data.pictures import Picture
from ray_iqa.errors import ConfigError
from ray_iqa.evaluation.scorers.scorer import ModelSpec, PictureScorer, read_models
from ray_iqa.serving.comparison import win_probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two pictures beside each other."""

    first: Verdict
    second: Verdict
    first_is_better: float | None
    """Probability, from both scores and spreads (Thurstone); None where one of them failed."""


class Scorer:
    """A model that scores pictures.

    Pictures are paths, URLs of object stores, contents of files, Pillow images, uint8 arrays [H, W, 3] or [H, W], or
    float tensors [3, H, W] in [0, 1].
    """

    def __init__(self, model: PictureScorer) -> None:
        self.model = model

    def __call__(self, picture: Picture) -> Verdict:
        """Of one picture; ``value`` is its score, higher is better, None with a ``reason`` where it failed."""
        return self.score([picture])[0]

    def score(self, pictures: Sequence[Picture]) -> list[Verdict]:
        """One per picture, in their order; one tensor [n, 3, H, W] is n pictures."""
        return self.model.score(pictures)

    def compare(self, first: Picture, second: Picture) -> Comparison:
        """Which of two is better."""
        verdicts = self.score([first, second])
        return Comparison(first=verdicts[0], second=verdicts[1], first_is_better=win_probabilities(verdicts)[0][1])


def load(
    model: str | Path,
    *,
    device: str = "cpu",
    precision: Precision = "fp32",
    prompt: str = "thinking",
    decoding: Decoding = "sampled",
    engine: Mapping[str, Any] | None = None,  # Any: values of configuration keys
) -> Scorer:
    """A scorer that stays in this process, or asks a service.

    Args:
        model: folder of a light scorer, folder or hub name of a policy, ``http://HOST:PORT[#MODEL]`` of an endpoint
            (its key in RAY_IQA_KEY), ``pyiqa:METRIC``.
        device: of a light scorer or metric, as torch spells it; a policy runs where its vLLM was built for.
        precision: of a light scorer.
        prompt: of a policy; an id or a YAML file, see docs/training.md.
        decoding: of a policy. sampled: mean of six answers, as published; greedy: one answer; expected: the numbers
            that could stand in the greedy answer, weighted with their probabilities.
        engine: of a policy, keys of the section ``rollout``: its engine and sampling parameters. The same picture gets
            the same score.

    Raises:
        ConfigError: there is no such model, or what it needs is not installed.
        DataError: its files are damaged.
    """
    [spec] = read_models([str(model)])
    if spec.kind == "column":
        raise ConfigError(f"a file of scores cannot score pictures: {model}")
    if spec.kind != "policy":
        return Scorer(open_scorer(spec, device, precision))
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # nobody here is about to tune an engine
    from ray_iqa.backends.vllm.policy_scorer import PolicyScorer

    is_folder = (Path(spec.source) / "config.json").is_file()
    if not is_folder and (Path(spec.source).exists() or spec.source.count("/") != 1):
        raise ConfigError(
            f"no model in {spec.source!r}: give the folder of a light scorer, which `ray-iqa fit-rali` or "
            "`convert-rali` writes, a policy's folder or hub name, http://HOST:PORT or pyiqa:METRIC"
        )
    policy = PolicyConfig(model=spec.source, prompt=prompt)
    return Scorer(PolicyScorer(policy, VllmRolloutConfig.model_validate(engine or {}), decoding, seed=0))


def open_scorer(spec: ModelSpec, device: str, precision: Precision = "fp32") -> PictureScorer:
    """Load a model that is no policy and no column of a file; raises as `load`."""
    match spec.kind:
        case "light":
            from ray_iqa.rali.scorer import RaliScorer

            return RaliScorer.load(spec.source, device, precision)
        case "endpoint":
            from ray_iqa.evaluation.scorers.endpoint import EndpointScorer

            return EndpointScorer(spec.source)
        case _:
            from ray_iqa.evaluation.scorers.pyiqa_metric import PyiqaScorer

            return PyiqaScorer(spec.source, device)
