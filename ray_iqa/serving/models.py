"""Which model answers a request: one that is named, or the cascade of both."""

import asyncio
import difflib
from collections.abc import Mapping, Sequence

from ray_iqa.serving.conversation import ConversationModel
from ray_iqa.serving.types import ImageModel, ModelCard, PictureScore, UnknownModelError

LIGHT, REASONING, CASCADE = "light", "reasoning", "cascade"


class ModelRegistry:
    """The models of a service by name; the cascade is there when both of its stages are.

    ``reasoning`` is the one that also talks, where there is one.
    """

    def __init__(self, models: Mapping[str, ImageModel], reasoning: ConversationModel | None = None) -> None:
        self._models, self._reasoning = dict(models), reasoning
        self._asking: asyncio.Task[None] | None = None
        self.names = [*self._models, *([CASCADE] if {LIGHT, REASONING} <= set(models) else [])]

    def name(self, name: str | None) -> str:
        """The model meant; the first one when none was named.

        Raises:
            UnknownModelError: with the nearest name.
        """
        if name is None:
            return self.names[0]
        if name not in self.names:
            near = difflib.get_close_matches(name[:100], self.names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UnknownModelError(f"model must be one of {', '.join(self.names)}, got {name[:100]!r}{hint}")
        return name

    def reasoning_model(self, name: str | None) -> ConversationModel:
        """The model that gives reasons.

        Raises:
            UnknownModelError: another one was named.
        """
        assert self._reasoning is not None, "without one there are no routes that ask for it"
        if name is not None and self.name(name) != REASONING:
            raise UnknownModelError(f"model must be {REASONING}, the one that gives reasons, got {name!r}")
        return self._reasoning

    async def ready(self) -> None:
        """Return once every model answers. All who wait share one question: anybody may ask, models have a queue."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all())
        await asyncio.shield(self._asking)

    async def _ask_all(self) -> None:
        for name in self._models:
            await self.card(name)

    async def card(self, name: str) -> ModelCard:
        """The card of a model; the cascade's is that of both stages."""
        if name != CASCADE:
            return await self._models[name].card()
        light, reasoning = await self._models[LIGHT].card(), await self._models[REASONING].card()
        revision = f"{light.revision}+{reasoning.revision}"
        return reasoning.model_copy(update={"id": CASCADE, "revision": revision})

    async def score(self, name: str, images: Sequence[bytes], threshold: float) -> list[PictureScore]:
        """One row per picture, in order; see `ImageModel.score`."""
        if name != CASCADE:
            return await self._models[name].score(images)
        rows = await self._models[LIGHT].score(images)
        unsure = [
            place
            for place, row in enumerate(rows)
            if row.status == "ok" and (row.spread is None or row.spread > threshold)
        ]
        if unsure:
            answers = await self._models[REASONING].score([images[place] for place in unsure])
            for place, answer in zip(unsure, answers, strict=True):
                rows[place] = answer
        return rows
