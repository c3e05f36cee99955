"""The reasoning model without Ray; tests/actors/test_serve_reasoning.py asks it over HTTP.

Engines are slow to start, so only the long run has what needs two of them, or one over two processes.
"""

import asyncio
from pathlib import Path

import pytest
from PIL import Image
from vllm_policies import ROLLOUT, noise_pictures, tiny_policy

from ray_iqa.backends.vllm.reasoning_model import ReasoningModel
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.config.serve import ReasoningChangesConfig, ReasoningModelConfig
from ray_iqa.data.images import load_image
from ray_iqa.quickstart.tiny_policy import build_tiny_policy
from ray_iqa.serving.conversation import ChatSpec, Delta, Turn
from ray_iqa.serving.types import PictureScore

SPEC = ChatSpec(turns=(Turn(role="user", text="How good is it?", has_picture=True),), max_tokens=20)


async def _answer(model: ReasoningModel, picture: Image.Image, spec: ChatSpec = SPEC) -> str:
    parts = [part async for part in model.chat(spec, picture)]
    return "".join(part.reasoning + part.content for part in parts if isinstance(part, Delta))


def _answers(folder: Path, engine: VllmRolloutConfig) -> list[str]:
    config = ReasoningModelConfig(policy=tiny_policy(folder / "policy", "qwen2_5_vl"), engine=engine)
    pictures = [load_image(image.image_path) for image in noise_pictures(folder)]

    async def ask() -> list[str]:
        model = ReasoningModel(config, max_pixels=1_000_000)
        answers = await asyncio.gather(*(_answer(model, picture) for picture in pictures))
        *_, thin = [part async for part in model.describe(Image.new("RGB", (3000, 10)))]
        assert isinstance(thin, PictureScore)
        assert (thin.status, thin.value) == ("failed", None)
        assert "aspect ratio" in str(thin.reason)
        assert "0x" not in str(thin.reason)
        assert [await _answer(model, picture) for picture in pictures[:2]] == answers[:2]
        assert model.engine.num_running == 0
        model.close()
        return answers

    return asyncio.run(ask())


@pytest.mark.long
def test_other_weights_answer_as_if_it_had_started_with_them(tmp_path: Path) -> None:
    first = ReasoningModelConfig(policy=tiny_policy(tmp_path / "first", "qwen2_5_vl"), engine=ROLLOUT)
    build_tiny_policy(tmp_path / "second", seed=1)
    second = ReasoningChangesConfig(model=str(tmp_path / "second")).applied_to(first)
    pictures = [load_image(image.image_path) for image in noise_pictures(tmp_path)[:3]]
    long = SPEC.model_copy(update={"max_tokens": 400})

    async def ask() -> None:
        model = ReasoningModel(first, max_pixels=1_000_000)
        before = [await _answer(model, picture) for picture in pictures]
        long_answer, old = await _answer(model, pictures[0], long), model.card.revision

        under_way = asyncio.create_task(_answer(model, pictures[0], long))
        await asyncio.sleep(0.05)
        change = asyncio.create_task(model.change(second))
        rows = await asyncio.gather(*(model.score(pictures[place % 3]) for place in range(12)))
        await change
        assert await under_way == long_answer  # of one model from its first token to its last
        after = [await _answer(model, picture) for picture in pictures]
        new = model.card.revision
        scores = {(place % 3, row.revision): row for place, row in enumerate(rows)}
        assert len({row.revision for row in rows} - {old, new}) == 0
        assert all(row == scores[place % 3, row.revision] for place, row in enumerate(rows))

        await model.change(first)
        assert [await _answer(model, picture) for picture in pictures] == before
        model.close()

        fresh = ReasoningModel(second, max_pixels=1_000_000)
        assert [await _answer(fresh, picture) for picture in pictures] == after
        assert after != before
        assert fresh.card.revision == new != old
        fresh.close()

    asyncio.run(ask())


@pytest.mark.long
def test_two_processes_answer_as_one_does(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = _answers(tmp_path / "one", ROLLOUT)
    two = _answers(tmp_path / "two", ROLLOUT.model_copy(update={"tensor_parallel_size": 2}))
    assert len(set(one)) > 1
    assert two == one
