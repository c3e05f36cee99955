"""Teaches a tiny policy to answer in the asked format and to name what it sees, but not what is good.

The think text names kind and coarse strength of the distortion truthfully. The score after it is drawn
uniformly from 1 to 5 and has nothing to do with the picture: ranking is left to reinforcement learning.
The loss of a score's digits is their expectation over all such draws, instead of the one draw shown, or the
policy would remember chance correlations between pictures and scores.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.progress import track
from torch import nn
from transformers import AutoProcessor, BatchFeature, PreTrainedModel

from ray_iqa.config.policy import PolicyConfig
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.policy.loading import load_transformer
from ray_iqa.quickstart.attributes import describe
from ray_iqa.quickstart.ladder_pictures import LadderPictures, load_training_pictures
from ray_iqa.quickstart.lesson_descent import lesson_descent
from ray_iqa.quickstart.tiny_policy import save_policy

_BATCH_SIZE = 64
_LEARNING_RATE = 2e-3
_IGNORED = -100  # cross_entropy leaves these targets out


def cold_start(
    policy: str | Path, data: str | Path, folder: str | Path, *, num_steps: int = 200, seed: int = 0
) -> Path:
    """Fine-tune ``policy`` on attribute answers about the ladders' training pictures and write it to ``folder``.

    Args:
        policy: folder of a policy, as `warm_up` writes it.
        data: folder that `synthesise` wrote; only the train split is read, and none of its labels.
        folder: where the policy that can answer goes.
        num_steps: optimizer steps of 64 pictures.
        seed: of the batches and the random scores.

    Raises:
        DataError: as `load_training_pictures`.
    """
    folder = Path(folder)
    model = load_transformer(PolicyConfig(model=str(policy), dtype="float32"))
    processor = AutoProcessor.from_pretrained(policy)  # type: ignore[no-untyped-call]
    inputs = PolicyInputs(PolicyConfig(model=str(policy)))
    pictures = load_training_pictures(data)
    train_answers(model, processor.image_processor, inputs, pictures, num_steps=num_steps, seed=seed)
    save_policy(model, processor, folder)
    return folder


def train_answers(
    model: PreTrainedModel,
    image_processor: Callable[..., BatchFeature],
    inputs: PolicyInputs,
    pictures: LadderPictures,
    *,
    num_steps: int,
    seed: int,
) -> None:
    """Train the whole ``model`` in place; cross-entropy of the answer tokens."""
    # All pictures have one size, so one prompt serves them all.
    prompt = inputs.encode(Image.fromarray(pictures.pixels[0].permute(1, 2, 0).numpy()))
    digits = torch.from_numpy(inputs.encode_answer("0123456789")[:10]).long()
    descent = lesson_descent(list(model.parameters()), _LEARNING_RATE, num_steps)
    rng = np.random.default_rng(seed)
    model.train()
    for _ in track(range(num_steps), description="Cold start"):
        chosen = rng.integers(len(pictures.kinds), size=_BATCH_SIZE)
        texts = [answer_text(pictures.kinds[i], int(pictures.levels[i]), rng) for i in chosen]
        answers, targets = _pad([inputs.encode_answer(text) for text in texts])
        prompt_tokens = prompt.token_ids.expand(_BATCH_SIZE, -1)
        token_types = {
            name: torch.cat([types.expand(_BATCH_SIZE, -1), torch.zeros_like(answers)], dim=1)
            for name, types in prompt.token_types.items()
        }
        pixels = image_processor(images=list(pictures.pixels[torch.from_numpy(chosen)]), return_tensors="pt")
        logits = model(
            input_ids=torch.cat([prompt_tokens, answers], dim=1),
            logits_to_keep=answers.shape[1] + 1,
            **token_types,
            **pixels,
        ).logits
        descent.step(_answer_loss(logits[:, :-1].log_softmax(-1), targets, digits))
    model.eval()  # type: ignore[no-untyped-call]


def answer_text(kind: str, level: int, rng: np.random.Generator) -> str:
    """A well-formed answer: the attributes are true, the score is uniform in 1 to 5 whatever they are."""
    return f"<think>{describe(kind, level)}</think><answer>{rng.uniform(1, 5):.2f}</answer>"


def _answer_loss(logprobs: torch.Tensor, targets: torch.Tensor, digits: torch.Tensor) -> torch.Tensor:
    """Mean over answer tokens of the cross-entropy, [B, T, V] and [B, T] to a scalar.

    Every digit counts as its uniform distribution: 1 to 4 before the point, 0 to 9 after it.
    """
    inside = targets != _IGNORED
    shown = logprobs.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    is_digit = torch.isin(targets, digits)
    is_first = is_digit & (is_digit.cumsum(1) == 1)
    each_digit = logprobs[..., digits]
    expected = torch.where(is_first, each_digit[..., 1:5].mean(-1), each_digit.mean(-1))
    return -torch.where(is_digit, expected, shown)[inside].mean()


def _pad(answers: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded tokens and targets, int64 [B, T]; padding is no target."""
    tokens = nn.utils.rnn.pad_sequence([torch.from_numpy(answer).long() for answer in answers], batch_first=True)
    lengths = torch.tensor([len(answer) for answer in answers])
    inside = torch.arange(tokens.shape[1]) < lengths[:, None]
    return tokens, tokens.masked_fill(~inside, _IGNORED)
