"""A policy among the scorers that are compared: sampled, greedy or expected scores."""

import time
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.answers.verdict import Verdict, verdict_of_group
from ray_iqa.backends.vllm.expected_score import expected_scores
from ray_iqa.backends.vllm.unlabelled import named_by_content
from ray_iqa.config.jobs.evaluate import Decoding
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.data.images import picture_or_reason
from ray_iqa.data.pictures import Picture, decoded_or_reason
from ray_iqa.types import LabelledImage


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

    def predict(self, images: Sequence[LabelledImage]) -> list[Verdict]:
        """See `Scorer.predict`; ``seconds`` is an equal share of the call for every image."""
        began = time.perf_counter()
        verdicts = self._answers(images, [picture_or_reason(image.image_path) for image in images])
        seconds = (time.perf_counter() - began) / max(1, len(images))
        return [replace(verdict, seconds=seconds) for verdict in verdicts]

    def score(self, pictures: Sequence[Picture]) -> list[Verdict]:
        """See `PictureScorer.score`; what is sampled depends on a picture's content alone."""
        found = [decoded_or_reason(picture) for picture in pictures]
        return self._answers([named_by_content(None if isinstance(item, str) else item) for item in found], found)

    def _answers(self, images: Sequence[LabelledImage], pictures: Sequence[Image.Image | str]) -> list[Verdict]:
        groups = self._sampler.sample_pictures(images, pictures, self._spec)
        verdicts = [verdict_of_group(group, self._prompt) for group in groups]
        if not self._expects:
            return verdicts
        read = [
            (place, picture, group.completions[0])
            for place, (picture, group) in enumerate(zip(pictures, groups, strict=True))
            if not isinstance(picture, str) and verdicts[place].value is not None
        ]
        expected = expected_scores(
            self._sampler, self._prompt, [picture for _, picture, _ in read], [answer for _, _, answer in read]
        )
        for (place, _, _), found in zip(read, expected, strict=True):
            verdicts[place] = (
                Verdict(value=None, reason="no likely number ends in a readable answer")
                if found is None
                else replace(verdicts[place], value=found.mean, spread=found.std)
            )
        return verdicts
