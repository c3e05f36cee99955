"""Draws the completions of training with a vLLM engine, a step at a time.

Letters: K completions per image, P prompt tokens, T completion tokens.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ray_iqa.backends.vllm.adapters import engine_arguments, lora_refusals_named
from ray_iqa.backends.vllm.engine import refusals_named, start_engine
from ray_iqa.backends.vllm.prompts import ImagePrompts, Prompt
from ray_iqa.backends.vllm.weight_installer import WeightInstaller
from ray_iqa.backends.vllm.working_engine import WorkingEngine
from ray_iqa.config.learner import LoraConfig, WeightTransferConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.seeds import derive_seed
from ray_iqa.types import Completion, FinishReason, LabelledImage, RolloutGroup, SamplingSpec

_FINISH_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


class VllmSampler:
    """One vLLM engine in this process; implements `ray_iqa.protocols.Sampler`.

    An image's completions depend on the weights, the spec and the image alone, not on the rest of the batch. Special
    tokens other than the end of the turn are never drawn; log-probabilities do not know of that ban, of temperature,
    top_k or top_p, so a learner finds the same numbers with a plain softmax.
    """

    def __init__(
        self,
        policy: PolicyConfig,
        rollout: VllmRolloutConfig,
        weights: WeightTransferConfig | None = None,
        lora: LoraConfig | None = None,
    ) -> None:
        """Start the engine on the weights in ``policy.model``, policy version 0.

        ``weights`` says how others come; with ``lora`` they are adapters, which run beside those.
        """
        weights = weights or WeightTransferConfig()
        self.inputs = PolicyInputs(policy)
        arguments = engine_arguments(lora) | weights.engine_arguments
        with lora_refusals_named():
            self._llm = start_engine(policy, rollout, self.inputs.mm_processor_kwargs, arguments)
        self._prompts = ImagePrompts(self._llm, self.inputs.question_token_ids, rollout.max_model_len)
        self._engine = WorkingEngine(self._llm)
        alone = lora is not None
        self.weights = WeightInstaller(self._engine, policy, weights, self.logprobs_of, adapters_alone=alone)
        """Takes over the learner's weights and knows which version answers."""
        self._spec: SamplingSpec | None = None  # of the newest sampling

    def sample(
        self, images: Sequence[LabelledImage], spec: SamplingSpec, max_unfinished: int = 0
    ) -> list[RolloutGroup]:
        """K completions for each image, in the order of ``images``; temperature 0 repeats the one greedy answer.

        With ``max_unfinished`` the call comes back when at most so many completions are unfinished, with the images
        that are done. The others go on in the next call, beside its own images, and weights cannot change until they
        are done. A call with another spec drops them.

        An image that cannot be read, that the model refuses, or whose prompt leaves no room for an answer, is a group
        with a ``problem``.

        Raises:
            ConfigError: vLLM refuses the spec.
            WeightTransferError: an earlier weight update failed half-way.
        """
        return self._sample(images, self._prompts.take(images, spec.max_tokens), spec, max_unfinished)

    def prepare(self, images: Sequence[LabelledImage]) -> None:
        """Read and preprocess the images of a coming `sample`; weights may change in between."""
        self._prompts.prepare(images)

    def sample_pictures(
        self, images: Sequence[LabelledImage], pictures: Sequence[Image.Image | str], spec: SamplingSpec
    ) -> list[RolloutGroup]:
        """As `sample`, with what `picture_or_reason` has found already for each of ``images``."""
        return self._sample(images, self._prompts.of_pictures(pictures, spec.max_tokens), spec)

    def _sample(
        self,
        images: Sequence[LabelledImage],
        prompts: Sequence[Prompt | str],
        spec: SamplingSpec,
        max_unfinished: int = 0,
    ) -> list[RolloutGroup]:
        version = self.weights.policy_version
        sound = [(image, prompt) for image, prompt in zip(images, prompts, strict=True) if not isinstance(prompt, str)]
        if spec != self._spec:
            self._engine.drop()
        self._spec = spec
        with self._engine.awake(), refusals_named():
            params = [sampling_params(self.inputs, image, spec) for image, _ in sound]
            self._engine.add([prompt for _, prompt in sound], params, [image for image, _ in sound])
            results = self._engine.run(max_unfinished)
        groups = [_drawn_group(self.inputs, image, result, spec, version) for image, result in results]
        groups += [
            _failed_group(image, prompt, spec, version)
            for image, prompt in zip(images, prompts, strict=True)
            if isinstance(prompt, str)
        ]
        place_of = {image: place for place, image in enumerate(images)}
        return sorted(groups, key=lambda group: place_of.get(group.image, -1))  # what was left before comes first

    def generate(self, prompts: Sequence[Prompt], params: Sequence[Any]) -> list[Any]:  # Any: vLLM's own types
        """Answers to prompts made by `prompt`, each with its own vLLM sampling parameters; raises as `sample`."""
        assert not self._engine.num_unfinished, "sample([], spec) finishes the images that were left"
        rendered = self._prompts.rendered(prompts)
        with self._engine.awake(), refusals_named():
            self._engine.add(rendered, params, rendered)
            return [result for _, result in self._engine.run()]

    def logprobs_of(
        self, picture: Image.Image, token_ids: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Teacher-forced log-probabilities of an answer about a picture.

        Returns:
            the prompt's tokens [P], image tokens expanded, and the answer's log-probabilities [T] at temperature 1.
        """
        from vllm import SamplingParams

        prompt = self.prompt(picture, [int(token) for token in token_ids])
        params = SamplingParams(max_tokens=1, prompt_logprobs=0, detokenize=False)
        [result] = self.generate([prompt], [params])
        start = len(result.prompt_token_ids) - len(token_ids)
        positions = zip(token_ids, result.prompt_logprobs[start:], strict=True)
        logprobs = [position[int(token)].logprob for token, position in positions]
        return np.asarray(result.prompt_token_ids[:start], np.int32), np.asarray(logprobs, np.float32)

    def close(self) -> None:
        """Stop the engine; nothing else may be called afterwards."""
        self._llm.llm_engine.engine_core.shutdown()

    def prompt(self, picture: Image.Image, answer: Sequence[int] = ()) -> Prompt:
        """What `generate` takes: the question about a picture, and the tokens of an answer begun."""
        return self._prompts.of(picture, answer)


def sampling_params(inputs: PolicyInputs, image: LabelledImage, spec: SamplingSpec) -> Any:  # noqa: ANN401 - vllm is untyped
    """Parameters of one image's request; nothing is left to defaults of model or engine."""
    from vllm import SamplingParams

    greedy = spec.temperature == 0.0
    return SamplingParams(
        n=1 if greedy else spec.num_completions,
        temperature=spec.temperature,
        top_k=spec.top_k,
        top_p=spec.top_p,
        max_tokens=spec.max_tokens,
        seed=None if greedy else derive_seed(spec.seed, image.dataset, image.image_id),
        logprobs=0,  # of the drawn token only
        flat_logprobs=True,
        detokenize=False,
        **inputs.bounds_of_answers,
    )


def _drawn_group(
    inputs: PolicyInputs,
    image: LabelledImage,
    result: Any,  # noqa: ANN401 - vllm is untyped
    spec: SamplingSpec,
    version: int,
) -> RolloutGroup:
    return RolloutGroup(
        image=image,
        prompt_token_ids=np.asarray(result.prompt_token_ids, np.int32),
        completions=_completions(inputs, result, spec),
        policy_version=version,
    )


def _failed_group(image: LabelledImage, problem: str, spec: SamplingSpec, version: int) -> RolloutGroup:
    aborted = Completion(
        token_ids=np.zeros(0, np.int32), logprobs=np.zeros(0, np.float32), text="", finish_reason="abort"
    )
    return RolloutGroup(
        image=image,
        prompt_token_ids=np.zeros(0, np.int32),
        completions=(aborted,) * spec.num_completions,
        policy_version=version,
        problem=problem,
    )


def _completions(inputs: PolicyInputs, result: Any, spec: SamplingSpec) -> tuple[Completion, ...]:  # noqa: ANN401 - vllm
    completions = tuple(
        Completion(
            token_ids=np.asarray(output.token_ids, np.int32),
            logprobs=np.asarray(output.logprobs.logprobs, np.float32),
            text=inputs.decode(output.token_ids),
            finish_reason=_FINISH_REASONS.get(output.finish_reason, "abort"),
        )
        for output in sorted(result.outputs, key=lambda each: each.index)
    )
    return completions * (spec.num_completions // len(completions))
