"""Groups to model inputs: one row of whole groups, or one row per completion.

In the row of groups, each of them ``prompt + c_1 + ... + c_K``, a completion token sees its group's prompt and its own
completion only, and continues the prompt's positions as if it stood alone. Images and prompts are run once instead of
K times and nothing is padded, with the same log-probabilities and gradients.

Letters: G groups, K completions of a group, P prompt tokens, T completion tokens, R rows, L tokens of the
longest row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ray_iqa.policy.inputs import EncodedPrompt
from ray_iqa.policy.logprobs import TokenRows


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedGroup:
    """One image's prompt and its completions."""

    prompt: EncodedPrompt
    completions: tuple[NDArray[np.int32], ...]  # K arrays [T_k]


def shared_prefix_rows(groups: Sequence[EncodedGroup], transformer: Any) -> TokenRows:  # noqa: ANN401 - untyped model
    """All groups in one row, for families that `group_attention` knows.

    Args:
        groups: G, one behind the other.
        transformer: the transformers model, for its own multimodal position numbers.
    """
    tokens, positions, predictors = [], [], []
    start = 0
    for group in groups:
        tokens += [group.prompt.token_ids, *map(_tensor, group.completions)]
        positions.append(_positions(group, transformer.model))
        predictors.append(start + _predictors(group))
        start += positions[-1].shape[-1]
    return TokenRows(
        inputs={
            "input_ids": torch.cat(tokens)[None],
            "position_ids": torch.cat(positions, dim=-1)[:, None],  # [3, 1, L]
            **_vision([group.prompt for group in groups]),
        },
        group_spans=tuple((len(group.prompt.token_ids), *map(len, group.completions)) for group in groups),
        predictors=torch.cat(predictors),
        targets=_targets(groups),
        lengths=_lengths(groups),
    )


def separate_rows(groups: Sequence[EncodedGroup]) -> TokenRows:
    """One row per completion, for any family; the image and the prompt are run K times."""
    pairs = [(group.prompt, completion) for group in groups for completion in group.completions]
    prompts = [prompt for prompt, _ in pairs]
    token_ids = [torch.cat([prompt.token_ids, _tensor(completion)]) for prompt, completion in pairs]
    length = max(len(row) for row in token_ids)
    predictors = [
        index * length + len(prompt.token_ids) - 1 + torch.arange(len(completion))
        for index, (prompt, completion) in enumerate(pairs)
    ]
    return TokenRows(
        inputs={
            "input_ids": torch.stack([_pad(row, length, 0) for row in token_ids]),
            "attention_mask": torch.stack([_pad(torch.ones_like(row), length, 0) for row in token_ids]),
            **_token_types(prompts, length),
            **_vision(prompts),
        },
        predictors=torch.cat(predictors),
        targets=_targets(groups),
        lengths=_lengths(groups),
    )


def _positions(group: EncodedGroup, decoder: Any) -> torch.Tensor:  # noqa: ANN401 - untyped model
    """Position numbers [3, P + T_1 + ... + T_K]: every completion counts on from the prompt's largest."""
    prompt, _ = decoder.get_rope_index(
        input_ids=group.prompt.token_ids[None],
        mm_token_type_ids=group.prompt.token_types["mm_token_type_ids"][None],
        image_grid_thw=group.prompt.vision["image_grid_thw"],
    )  # [3, 1, P]
    following = int(prompt.max()) + 1
    counted_on = [following + torch.arange(len(completion)) for completion in group.completions]
    return torch.cat([prompt[:, 0], torch.cat(counted_on).expand(3, -1)], dim=1)


def _predictors(group: EncodedGroup) -> torch.Tensor:
    """Of each completion token the token before it, counted from the group's first; a first one follows the prompt."""
    start = prompt_length = len(group.prompt.token_ids)
    predictors = []
    for completion in group.completions:
        before = torch.arange(start - 1, start + len(completion) - 1)
        before[:1] = prompt_length - 1
        predictors.append(before)
        start += len(completion)
    return torch.cat(predictors)


def _token_types(prompts: Sequence[EncodedPrompt], length: int) -> Mapping[str, torch.Tensor]:
    """Per-token inputs [R, L]; completions are text, which is type 0."""
    names = prompts[0].token_types
    return {name: torch.stack([_pad(prompt.token_types[name], length, 0) for prompt in prompts]) for name in names}


def _vision(prompts: Sequence[EncodedPrompt]) -> Mapping[str, torch.Tensor]:
    return {name: torch.cat([prompt.vision[name] for prompt in prompts]) for name in prompts[0].vision}


def _targets(groups: Sequence[EncodedGroup]) -> torch.Tensor:
    return torch.cat([_tensor(completion) for group in groups for completion in group.completions])


def _lengths(groups: Sequence[EncodedGroup]) -> tuple[int, ...]:
    return tuple(len(completion) for group in groups for completion in group.completions)


def _tensor(token_ids: NDArray[np.int32]) -> torch.Tensor:
    return torch.from_numpy(token_ids.astype(np.int64))  # a copy: arrays from the object store are read-only


def _pad(row: torch.Tensor, length: int, value: int) -> torch.Tensor:
    """Pads the last axis on the right."""
    return torch.nn.functional.pad(row, (0, length - row.shape[-1]), value=value)
