"""A policy among the scorers that are compared: sampled, greedy or expected scores."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from ray_iqa.answers.parse import parse
from ray_iqa.answers.prompt import Prompt, prompt_by_id
from ray_iqa.backends.vllm.expected_score import expected_scores
from ray_iqa.config.jobs.evaluate import Decoding
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.data.images import picture_or_reason
from ray_iqa.evaluation.records import Prediction
from ray_iqa.types import Answer, LabelledImage, ParseFailure, RolloutGroup


class PolicyScorer:
    """A vLLM engine in this process.

    Args:
        policy: model and question.
        rollout: engine, and sampling parameters where answers are sampled.
        decoding: what the score of an image is.
        seed: of sampled answers.
    """

    def __init__(self, policy: PolicyConfig, rollout: VllmRolloutConfig, decoding: Decoding, seed: int) -> None:
        from ray_iqa.backends.vllm.sampler import VllmSampler  # the engine belongs in this process only

        self._sampler = VllmSampler(policy, rollout)
        self._prompt = prompt_by_id(policy.prompt)
        self._expects = decoding == "expected"
        greedy = replace(rollout.sampling_spec(seed, num_completions=1), temperature=0.0)
        self._spec = rollout.sampling_spec(seed) if decoding == "sampled" else greedy

    def predict(self, images: Sequence[LabelledImage]) -> list[Prediction]:
        """See `Scorer.predict`; ``seconds`` is an equal share of the call for every image."""
        began = time.perf_counter()
        predictions = self._answers(images, [picture_or_reason(image.image_path) for image in images])
        seconds = (time.perf_counter() - began) / max(1, len(images))
        return [replace(prediction, seconds=seconds) for prediction in predictions]

    def _answers(self, images: Sequence[LabelledImage], pictures: Sequence[Image.Image | str]) -> list[Prediction]:
        groups = self._sampler.sample_pictures(images, pictures, self._spec)
        predictions = [prediction_of_group(group, self._prompt) for group in groups]
        if not self._expects:
            return predictions
        read = [
            (place, picture, group.completions[0])
            for place, (picture, group) in enumerate(zip(pictures, groups, strict=True))
            if not isinstance(picture, str) and predictions[place].score is not None
        ]
        expected = expected_scores(
            self._sampler, self._prompt, [picture for _, picture, _ in read], [answer for _, _, answer in read]
        )
        for (place, _, _), found in zip(read, expected, strict=True):
            predictions[place] = (
                Prediction(score=None, reason="no likely number ends in a readable answer")
                if found is None
                else replace(predictions[place], score=found.mean, score_std=found.std)
            )
        return predictions


def prediction_of_group(group: RolloutGroup, prompt: Prompt) -> Prediction:
    """Mean and deviation of the readable scores; the reasoning is that of the answer nearest to the mean."""
    if group.problem is not None:
        return Prediction(score=None, reason=group.problem)
    answers = [parse(completion.text, prompt) for completion in group.completions]
    read = [answer for answer in answers if isinstance(answer, Answer)]
    if not read:
        reasons = sorted({answer.reason for answer in answers if isinstance(answer, ParseFailure)})
        return Prediction(score=None, reason=f"no readable score in {len(answers)} answers: {'; '.join(reasons)}")
    scores = np.array([answer.score for answer in read], dtype=np.float64)
    mean = float(scores.mean())
    return Prediction(
        score=mean,
        score_std=float(scores.std(ddof=1)) if len(scores) >= 2 else None,
        reasoning=read[int(np.abs(scores - mean).argmin())].reasoning,
    )
