import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import kstest, spearmanr

from ray_iqa.answers.parse import parse
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.quickstart.attributes import KIND_WORDS, describe
from ray_iqa.quickstart.cold_start import _answer_loss, answer_text, cold_start
from ray_iqa.quickstart.distortions import LADDER, LEVELS
from ray_iqa.quickstart.quality import true_quality
from ray_iqa.quickstart.synthesise import synthesise
from ray_iqa.quickstart.tiny_policy import build_tiny_policy

PROMPT = prompt_by_id("thinking")


def test_every_kind_has_its_own_word() -> None:
    assert set(LADDER) == set(KIND_WORDS) - {"pristine"}
    assert len(set(KIND_WORDS.values())) == len(KIND_WORDS)


def test_attributes_are_named_truthfully() -> None:
    assert describe("white_noise", 1) == describe("white_noise", 2) == "looks slightly noisy"
    assert describe("white_noise", 5) == "looks very noisy"
    assert describe("pristine", 0) == "looks clean"


def test_scores_in_the_training_texts_know_nothing_of_the_picture() -> None:
    conditions = [("pristine", 0), *((kind, level) for kind in LADDER for level in LEVELS)]
    rng = np.random.default_rng(3)
    qualities, scores = [], []
    for _ in range(100):
        for kind, level in conditions:
            answer = parse(answer_text(kind, level, rng), PROMPT)
            qualities.append(true_quality(kind, level))
            scores.append(answer.score)
    assert abs(spearmanr(qualities, scores).statistic) < 0.03  # 7,100 texts: standard error 0.012
    assert kstest(scores, "uniform", args=(1, 4)).pvalue > 0.01
    # The same draw gives the same score whatever it is said about.
    texts = {answer_text(kind, level, np.random.default_rng(7)) for kind, level in conditions}
    assert len({re.sub("<think>.*</think>", "", text) for text in texts}) == 1


def test_digits_count_as_their_expectation_over_all_scores() -> None:
    digits = torch.arange(10)
    point, end = 10, 11
    targets = torch.tensor([[3, point, 4, 7, end, -100]])
    logprobs = torch.randn((1, 6, 12), generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    found = _answer_loss(logprobs, targets, digits)
    row = logprobs[0].numpy()
    parts = [row[0, 1:5].mean(), row[1, point], row[2, :10].mean(), row[3, :10].mean(), row[4, end]]
    assert float(found) == pytest.approx(-np.mean(parts), rel=1e-6)
    other_score = torch.tensor([[1, point, 0, 9, end, -100]])
    assert torch.equal(found, _answer_loss(logprobs, other_score, digits))


def test_cold_start_repeats_and_reads_training_pictures_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    synthesise(data, num_train=80, num_val=8, num_test=8)
    for split in ("val", "test"):
        for file in data.glob(f"*/{split}/*.png"):
            file.unlink()
    blank = build_tiny_policy(tmp_path / "blank")
    first, again = (
        load_file(cold_start(blank, data, tmp_path / name, num_steps=2, seed=4) / "model.safetensors")
        for name in ("first", "again")
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
