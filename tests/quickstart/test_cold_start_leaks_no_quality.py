"""The short form of the demo's first number: what the policy's scores are worth before any reinforcement learning."""

from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from transformers import AutoModelForImageTextToText

from ray_iqa.answers.parse import parse
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.data.images import load_image
from ray_iqa.data.manifest import read_rows
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.quickstart.attributes import describe
from ray_iqa.quickstart.cold_start import cold_start
from ray_iqa.quickstart.quality import true_quality
from ray_iqa.quickstart.synthesise import synthesise
from ray_iqa.quickstart.tiny_policy import build_tiny_policy
from ray_iqa.quickstart.vision_warm_up import warm_up
from ray_iqa.types import Answer

NUM_ANSWERS = 8


def sample_answers(policy: Path, paths: list[Path]) -> list[list[str]]:
    """Eight sampled answers about each picture."""
    model = AutoModelForImageTextToText.from_pretrained(policy)
    inputs = PolicyInputs(PolicyConfig(model=str(policy)))
    prompts = [inputs.encode(load_image(path)) for path in paths]
    torch.manual_seed(0)
    tokens = model.generate(
        input_ids=torch.stack([prompt.token_ids for prompt in prompts]),
        mm_token_type_ids=torch.stack([prompt.token_types["mm_token_type_ids"] for prompt in prompts]),
        pixel_values=torch.cat([prompt.vision["pixel_values"] for prompt in prompts]),
        image_grid_thw=torch.cat([prompt.vision["image_grid_thw"] for prompt in prompts]),
        do_sample=True,
        top_k=0,
        num_return_sequences=NUM_ANSWERS,
        max_new_tokens=16,
    )
    texts = [inputs.decode(row.numpy()) for row in tokens[:, len(prompts[0].token_ids) :]]
    return [texts[start : start + NUM_ANSWERS] for start in range(0, len(texts), NUM_ANSWERS)]


def test_after_the_cold_start_words_tell_the_distortion_and_scores_tell_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    synthesise(data, num_train=2000, num_val=8, num_test=320)
    blank = build_tiny_policy(tmp_path / "blank")
    seeing = warm_up(blank, data, tmp_path / "seeing", num_steps=150)
    start = cold_start(seeing, data, tmp_path / "start", num_steps=100)

    rows = [(file.parent, row) for file in sorted(data.glob("*/manifest.csv")) for row in read_rows(file)]
    rows = [(home, row) for home, row in rows if row.split == "test"]
    answers = sample_answers(start, [home / row.path for home, row in rows])
    parsed = [[parse(text, prompt_by_id("thinking")) for text in texts] for texts in answers]
    scores = [[answer.score for answer in group if isinstance(answer, Answer)] for group in parsed]
    means = np.array([np.mean(group) for group in scores])
    qualities = [true_quality(str(row.distortion), int(row.level or 0)) for _, row in rows]
    assert np.mean([len(group) / NUM_ANSWERS for group in scores]) > 0.8
    assert abs(spearmanr(means, qualities).statistic) <= 0.2

    # It has learned to see: the kind it names is right far more often than one of five by chance.
    words = [describe(str(row.distortion), int(row.level or 0)).split()[-1] for _, row in rows]
    named = [sum(f"{word}</think>" in text for text in texts) for word, texts in zip(words, answers, strict=True)]
    assert np.mean(named) / NUM_ANSWERS > 0.4
