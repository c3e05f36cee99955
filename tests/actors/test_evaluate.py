"""`ray-iqa eval` as a command: a policy, a light scorer and a column on two datasets, a broken picture among them."""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from quickstart_runs import Start, refusal, run
from scipy.stats import spearmanr
from small_scorer import write_small_scorer
from transformers import AutoModelForImageTextToText

from ray_iqa.answers.parse import parse
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.data.images import load_image
from ray_iqa.data.manifest import read_located, write_located
from ray_iqa.evaluation.records import PredictionRow, read_predictions
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.types import Answer

pytestmark = [pytest.mark.usefixtures("commands_join"), pytest.mark.timeout(600)]
EVAL = [sys.executable, "-m", "actors", "eval"]


@pytest.fixture(scope="module")
def folder(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One evaluation of 3 models on 40 pictures and a broken one."""
    home = tmp_path_factory.mktemp("eval")
    light = write_small_scorer(home)
    rows = [row for manifest in start.manifests for row in read_located(manifest)[:20]]
    (home / "broken.png").write_bytes(b"broken")
    rows.append(replace(rows[0], image_id="broken", path=str(home / "broken.png")))
    write_located(home / "pictures.csv", rows)
    labels = "".join(
        f"{row.dataset},{row.image_id},{row.mos if row.direction == 'higher' else -row.mos}\n" for row in rows
    )
    (home / "labels.csv").write_text(f"dataset,image_id,label\n{labels}")
    models = [f"policy={start.policy}", f"light={light}", f"csv:{home / 'labels.csv'}:label"]
    words = [word for model in models for word in ("--model", model)]
    settings = ["--decoding", "expected", "--config", "configs/eval/small.yaml"]
    done = run([*EVAL, *words, "--data", f"{home / 'pictures.csv'}", "--out", f"{home / 'out'}", *settings])
    assert done.returncode == 3, done.stderr[-3000:]  # the broken picture
    assert "Agreement with labels" in done.stdout
    return home / "out"


def rows_of(folder: Path, model: str) -> list[PredictionRow]:
    return [row for row in read_predictions(folder) if row.model == model]


def test_there_is_a_row_for_every_model_and_picture(folder: Path) -> None:
    rows = read_predictions(folder)
    assert len({(row.model, row.dataset, row.image_id) for row in rows}) == len(rows) == 3 * 41
    for model in ("policy", "light"):
        (broken,) = [row for row in rows_of(folder, model) if row.image_id == "broken"]
        assert (broken.score, broken.status) == (None, "failed")
        assert "not a readable image" in str(broken.reason)
    assert {row.direction for row in rows} == {"higher", "lower"}
    assert all(row.distortion is not None and row.level is not None for row in rows)


def test_results_are_those_of_the_predictions(folder: Path) -> None:
    rows = json.loads((folder / "results.json").read_text())["results"]
    results = {(row["model"], row["dataset"]): row for row in rows}
    datasets = {row.dataset for row in read_predictions(folder)}
    assert results.keys() == {(model, dataset) for model in ("policy", "light", "label") for dataset in datasets}
    for dataset in datasets:
        assert results["label", dataset]["srcc"] == pytest.approx(1.0)
        own = [row for row in rows_of(folder, "light") if row.dataset == dataset and row.score is not None]
        sign = 1 if own[0].direction == "higher" else -1
        expected = sign * spearmanr([row.score for row in own], [row.mos for row in own]).statistic
        assert results["light", dataset]["srcc"] == pytest.approx(expected)
    assert sum(row["n_failed"] for row in results.values() if row["model"] == "light") == 1
    assert results["policy", min(datasets)]["decoding"] == "expected score of the greedy answer"
    with (folder / "results.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == len(results)
    differences = json.loads((folder / "results.json").read_text())["differences"]
    assert len(differences) == 2 * 3
    for name in ("results.md", "results.tex"):
        assert "Differences between models" in (folder / name).read_text()


@torch.inference_mode()
def test_expected_scores_are_those_of_the_whole_softmax(folder: Path, start: Start) -> None:
    """Branches over the first digit of the number, each continued greedily, by a plain transformers model."""
    policy = PolicyConfig(model=str(start.policy), dtype="float32", max_pixels=256 * 256)
    inputs, prompt = PolicyInputs(policy), prompt_by_id("thinking")
    model = AutoModelForImageTextToText.from_pretrained(policy.model, dtype=torch.float32).eval()
    banned = list(inputs.banned_token_ids)
    rows = [row for row in rows_of(folder, "policy") if row.score is not None]
    assert len(rows) > 20
    for row in rows[:3]:
        encoded = inputs.encode(load_image(row.image_path))

        def logits(answer: list[int], encoded: object = encoded) -> torch.Tensor:
            types = {
                name: torch.cat([value, torch.zeros(len(answer), dtype=value.dtype)])[None]
                for name, value in encoded.token_types.items()
            }
            ids = torch.cat([encoded.token_ids, torch.tensor(answer, dtype=torch.int64)])[None]
            return model(input_ids=ids, **types, **encoded.vision).logits[0, -1].float()

        def greedy(answer: list[int], longest: int, logits: object = logits) -> list[int]:
            while len(answer) < longest and (not answer or answer[-1] not in inputs.stop_token_ids):
                found = logits(answer)
                found[banned] = -np.inf
                answer = [*answer, int(found.argmax())]
            return answer

        whole = greedy([], 96)
        text = inputs.decode(whole)
        digits = [inputs.decode(whole[:n]).endswith("<answer>") for n in range(len(whole))]
        begun = whole[: digits.index(True)]
        assert text.count("<answer>") == 1
        probabilities = torch.softmax(logits(begun), dim=-1)
        scores, weights = [], []
        for token in torch.nonzero(probabilities >= 0.01).flatten().tolist():
            if inputs.decode([token]) in set("0123456789"):
                answer = parse(inputs.decode(greedy([*begun, token], len(begun) + 33)), prompt)
                if isinstance(answer, Answer):
                    scores.append(answer.score)
                    weights.append(float(probabilities[token]))
        assert row.score == pytest.approx(np.average(scores, weights=weights), abs=2e-3)
        spread = np.sqrt(np.average((np.array(scores) - row.score) ** 2, weights=weights))
        assert row.score_std == pytest.approx(spread, abs=2e-3)


def test_a_missing_model_or_package_is_one_sentence(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(start.manifests[0]), "--out", str(tmp_path / "out")]
    said = refusal([*EVAL, "--model", "/nowhere", *data], capsys)
    assert "found no config.json in '/nowhere'" in said
    said = refusal([*EVAL, "--model", str(start.policy), *data, "--decoding", "greedy", "--samples", "4"], capsys)
    assert "--samples is for sampled decoding, got --decoding greedy" in said
    said = refusal([*EVAL, "--model", "csv:/nowhere.csv:x", *data], capsys)
    assert said == "ray-iqa: no table at /nowhere.csv\n"
    (tmp_path / "scorer").mkdir()
    (tmp_path / "scorer" / "rali.json").write_text("{}")
    done = run([*EVAL, "--model", str(tmp_path / "scorer"), *data])
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"ray-iqa: model {tmp_path.name}/scorer could not be run: ")
    assert "required key 'architecture' is missing" in done.stderr
    assert not list((tmp_path / "out").iterdir())  # made before the work, and nothing came of that
