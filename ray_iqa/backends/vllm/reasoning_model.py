"""The reasoning policy as the HTTP endpoint wants it: K sampled answers, their mean and their deviation."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from PIL import Image
from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind

from ray_iqa.answers.parse import parse
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.answers.verdict import verdict_of
from ray_iqa.backends.vllm.answer_engine import AnswerEngine
from ray_iqa.backends.vllm.answer_text import AnswerText
from ray_iqa.backends.vllm.reload_lock import ReloadLock
from ray_iqa.backends.vllm.sampler import sampling_params
from ray_iqa.backends.vllm.unlabelled import content_of, named_by_content, unlabelled
from ray_iqa.backends.weights.replacement import replacement_folder
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.serve import ReasoningModelConfig
from ray_iqa.errors import DataError
from ray_iqa.files import content_digest
from ray_iqa.seeds import derive_seed
from ray_iqa.serving.conversation import ChatEnd, ChatSpec, Delta, RefusedError, Turn
from ray_iqa.serving.types import ModelCard, PictureScore
from ray_iqa.types import LabelledImage, SamplingSpec


class ReasoningModel:
    """A vLLM engine of its own; must be made and used within one event loop.

    A picture's draws are seeded by its pixels, so it gets the same answers in any company and at any replica.

    Raises:
        ConfigError: the model or the prompt cannot be found.
    """

    def __init__(self, config: ReasoningModelConfig, max_pixels: int, *, reports_to_ray: bool = False) -> None:
        self._prompt = prompt_by_id(config.policy.prompt)
        self.engine = AnswerEngine(config.policy, config.engine, reports_to_ray=reports_to_ray)
        self._reload_lock = ReloadLock()
        self._config, self._spec = config, config.engine.sampling_spec(config.seed)
        self.card = ModelCard(
            id="reasoning",
            revision=_revision(config.policy),
            prompt_id=self._prompt.id,
            scale=self._prompt.scale,
            max_pixels=max_pixels,
        )

    async def change(self, config: ReasoningModelConfig) -> None:
        """Answer with other weights of the same model, or under other limits, from now on.

        Answers under way are finished first, new ones wait; every score says which weights it is from. Of ``config``
        only what `ReasoningChangesConfig` names may be new.

        Raises:
            ConfigError: the weights do not fit, so the old ones go on answering.
            WeightTransferError: the engine failed and is of no use any longer.
        """
        old, new = self._config.policy, config.policy
        revision, folder = self.card.revision, None
        if new != old:
            folder = await asyncio.to_thread(replacement_folder, old, self.engine.inputs, new)
            revision = await asyncio.to_thread(_revision, new)
        async with self._reload_lock.changing():
            if folder is not None:
                await self.engine.install(folder)
            self._config, self._spec = config, config.engine.sampling_spec(config.seed)
            self.card = self.card.model_copy(update={"revision": revision})

    async def score(self, picture: Image.Image) -> PictureScore:
        """The score of a picture; one without a single readable answer, or that the model refuses, failed."""
        async with aclosing(self._answers(picture, streams=False)) as parts:
            async for part in parts:
                if isinstance(part, PictureScore):
                    return part
        raise AssertionError("a description ends with the score")

    def describe(self, picture: Image.Image) -> AsyncGenerator[Delta | PictureScore, None]:
        """The first answer as it is written, then the score of all K."""
        return self._answers(picture, streams=True)

    async def chat(self, spec: ChatSpec, picture: Image.Image | None) -> AsyncGenerator[Delta | ChatEnd, None]:
        """See `ConversationModel.chat`."""
        inputs = self.engine.inputs
        try:
            prompt = inputs.chat_token_ids([_message(turn) for turn in spec.turns])
        except DataError as error:
            raise RefusedError(str(error)) from error
        answer = AnswerText(inputs)
        num_prompt = 0
        async with self._reload_lock.answering():
            params = await asyncio.to_thread(self._chat_params, spec, picture)
            async with aclosing(self.engine.outputs(prompt, picture, params)) as outputs:
                async for output in outputs:
                    num_prompt = len(output.prompt_token_ids or ()) or num_prompt
                    answer.add(output.outputs[0])
                    if delta := answer.new_delta():
                        yield delta
        yield ChatEnd(
            finish_reason="length" if answer.finish_reason == "length" else "stop",
            prompt_tokens=num_prompt,
            completion_tokens=len(answer.token_ids),
        )

    def close(self) -> None:
        """Stop the engine."""
        self.engine.close()

    async def _answers(self, picture: Image.Image, *, streams: bool) -> AsyncGenerator[Delta | PictureScore, None]:
        image = await asyncio.to_thread(named_by_content, picture)  # large ones would hold up the event loop
        inputs = self.engine.inputs
        async with self._reload_lock.answering():
            answers = [AnswerText(inputs) for _ in range(self._spec.num_completions)]
            params = self._params(image, self._spec, streams=streams)
            try:
                async with aclosing(self.engine.outputs(inputs.prompt_token_ids, picture, params)) as outputs:
                    async for output in outputs:
                        for choice in output.outputs:
                            answers[choice.index].add(choice)
                        if streams and (delta := answers[0].new_delta()):
                            yield delta
            except RefusedError as error:
                yield self.card.failed(str(error))
                return
            yield self.card.score(verdict_of([parse(answer.text, self._prompt) for answer in answers]), picture.size)

    def _params(self, image: LabelledImage, spec: SamplingSpec, *, streams: bool) -> SamplingParams:
        params = sampling_params(self.engine.inputs, image, spec)
        params.logprobs, params.flat_logprobs = None, False
        params.output_kind = RequestOutputKind.DELTA if streams else RequestOutputKind.FINAL_ONLY
        return params

    def _chat_params(self, spec: ChatSpec, picture: Image.Image | None) -> SamplingParams:
        own = self._spec
        name = hashlib.sha256(spec.model_dump_json().encode() + content_of(picture)).hexdigest()
        sampling = SamplingSpec(
            num_completions=1,
            temperature=own.temperature if spec.temperature is None else spec.temperature,
            top_k=own.top_k,
            top_p=own.top_p if spec.top_p is None else spec.top_p,
            max_tokens=own.max_tokens if spec.max_tokens is None else spec.max_tokens,
            seed=own.seed if spec.seed is None else spec.seed,
        )
        params = self._params(unlabelled(name), sampling, streams=True)
        params.presence_penalty, params.frequency_penalty = spec.presence_penalty, spec.frequency_penalty
        if spec.seed is not None and params.seed is not None:
            params.seed = derive_seed(spec.seed)
        return params


def _message(turn: Turn) -> dict[str, Any]:  # Any: the chat templates' own dictionaries
    picture = [{"type": "image"}] if turn.has_picture else []
    return {"role": turn.role, "content": [*picture, {"type": "text", "text": turn.text}]}


def _revision(policy: PolicyConfig) -> str:
    """As configured, else of the weights in a folder; a hub name without a revision says that it may be anything."""
    folder = Path(policy.model)
    if policy.revision or not folder.is_dir():
        return policy.revision or f"{policy.model}@latest"
    return content_digest(sorted([*folder.glob("*.safetensors"), folder / "config.json"]))
