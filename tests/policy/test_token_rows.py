"""Both layouts against the model's own full-vocabulary forward pass, one completion at a time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText

from ray_iqa.config.policy import PolicyConfig
from ray_iqa.policy import group_attention
from ray_iqa.policy import logprobs as logprobs_module
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.policy.logprobs import TokenLogprobs, TokenRows
from ray_iqa.policy.token_rows import EncodedGroup, separate_rows, shared_prefix_rows
from ray_iqa.quickstart.tiny_policy import build_tiny_policy

FAMILIES = ("qwen2_5_vl", "qwen3_vl")


def groups_of(inputs: PolicyInputs) -> list[EncodedGroup]:
    rng = np.random.default_rng(3)
    lengths = {(56, 84): (3, 9, 1), (112, 64): (5, 2, 7, 4)}  # two prompts of unequal length
    allowed = np.setdiff1d(np.arange(200, dtype=np.int32), inputs.banned_token_ids)
    groups = []
    for (width, height), completions in lengths.items():
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        drawn = tuple(rng.choice(allowed, size) for size in completions)
        groups.append(EncodedGroup(prompt=inputs.encode(image), completions=drawn))
    return groups


@pytest.fixture(scope="module", params=FAMILIES)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[TokenLogprobs, list]:
    folder: Path = build_tiny_policy(tmp_path_factory.mktemp("policy"), family=request.param)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    inputs = PolicyInputs(PolicyConfig(model=str(folder), dtype="float32"))
    return TokenLogprobs(model.train()), groups_of(inputs)


def longest(groups: list[EncodedGroup]) -> int:
    return max(len(group.prompt.token_ids) + len(completion) for group in groups for completion in group.completions)


def plain_logprobs(scorer: TokenLogprobs, group: EncodedGroup, completion: np.ndarray) -> torch.Tensor:
    """One completion alone, unpadded, through the model's own forward and log-softmax."""
    tokens = torch.from_numpy(completion.astype(np.int64))
    row = torch.cat([group.prompt.token_ids, tokens])[None]
    types = {
        name: torch.cat([value, torch.zeros_like(tokens)])[None] for name, value in group.prompt.token_types.items()
    }
    logits = scorer.model(input_ids=row, **types, **group.prompt.vision, use_cache=False).logits[0]
    predicted = logits[len(group.prompt.token_ids) - 1 : -1].log_softmax(-1)
    return predicted.gather(-1, tokens[:, None])[:, 0]


def gradients(scorer: TokenLogprobs, logprobs: torch.Tensor) -> dict[str, torch.Tensor]:
    weights = torch.linspace(-1.0, 1.0, len(logprobs)).sin()
    scorer.zero_grad()
    (logprobs * weights).sum().backward()
    return {name: parameter.grad.clone() for name, parameter in scorer.model.named_parameters()}


@pytest.fixture(scope="module")
def expected(tiny: tuple[TokenLogprobs, list]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    scorer, groups = tiny
    logprobs = torch.cat([plain_logprobs(scorer, group, c) for group in groups for c in group.completions])
    return logprobs.detach().clone(), gradients(scorer, logprobs)


@pytest.mark.parametrize("chunk", [512, 4])  # of logits; with 4, completions attend in several blocks too
@pytest.mark.parametrize("layout", ["shared", "separate"])
def test_logprobs_and_gradients_are_those_of_completions_run_alone(
    tiny: tuple[TokenLogprobs, list],
    expected: tuple[torch.Tensor, dict[str, torch.Tensor]],
    layout: str,
    chunk: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scorer, groups = tiny
    monkeypatch.setattr(logprobs_module, "_CHUNK_TOKENS", chunk)
    monkeypatch.setattr(group_attention, "_BLOCK_TOKENS", 2 * chunk)
    group_attention._cuts.cache_clear()
    build: dict[str, Callable[[], TokenRows]] = {
        "shared": lambda: shared_prefix_rows(groups, scorer.transformer),
        "separate": lambda: separate_rows(groups),
    }
    rows = build[layout]()
    num_tokens = sum(len(group.prompt.token_ids) + sum(map(len, group.completions)) for group in groups)
    assert rows.inputs["input_ids"].shape == ((1, num_tokens) if layout == "shared" else (7, longest(groups)))
    logprobs, _ = scorer(rows)
    torch.testing.assert_close(logprobs.detach(), expected[0], rtol=0, atol=1e-5)
    found = gradients(scorer, logprobs)
    for name, gradient in expected[1].items():
        norm = gradient.norm()
        assert (found[name] - gradient).norm() <= 1e-4 * norm + 1e-7, name


def test_entropies_are_those_of_the_full_distribution(tiny: tuple[TokenLogprobs, list]) -> None:
    scorer, groups = tiny
    rows = separate_rows(groups[:1])
    with torch.no_grad():
        _, entropies = scorer(rows)
        logits = scorer.model(**rows.inputs, use_cache=False).logits.flatten(0, 1)[rows.predictors]
    torch.testing.assert_close(
        entropies, torch.distributions.Categorical(logits=logits).entropy(), rtol=1e-5, atol=1e-5
    )


def test_a_completion_cannot_see_its_neighbour(tiny: tuple[TokenLogprobs, list]) -> None:
    scorer, groups = tiny
    first, second, *rest = groups[1].completions
    changed = EncodedGroup(prompt=groups[1].prompt, completions=(first, second[::-1].copy(), *rest))
    with torch.no_grad():
        before, _ = scorer(shared_prefix_rows([groups[1]], scorer.transformer))
        after, _ = scorer(shared_prefix_rows([changed], scorer.transformer))
    own = slice(len(first), len(first) + len(second))
    assert (before[own] - after[own]).abs().max() > 1e-3
    before[own] = after[own]
    torch.testing.assert_close(before, after, rtol=0, atol=1e-6)


def test_a_group_cannot_see_the_group_before_it(tiny: tuple[TokenLogprobs, list]) -> None:
    scorer, groups = tiny
    with torch.no_grad():
        alone, _ = scorer(shared_prefix_rows(groups[1:], scorer.transformer))
        behind, _ = scorer(shared_prefix_rows(groups, scorer.transformer))
    torch.testing.assert_close(behind[-len(alone) :], alone, rtol=0, atol=1e-6)
