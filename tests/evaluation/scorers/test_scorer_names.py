from pathlib import Path

import pytest

from ray_iqa.errors import ConfigError
from ray_iqa.evaluation.scorers.scorer import read_models


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("csv:out/scores.csv:musiq", ("musiq", "column", f"{Path.cwd()}/out/scores.csv:musiq")),
        ("csv:/out/scores.csv:-niqe", ("niqe", "column", "/out/scores.csv:-niqe")),
        ("mine=csv:/s.csv:x", ("mine", "column", "/s.csv:x")),
        ("http://127.0.0.1:8000#light", ("127.0.0.1:8000#light", "endpoint", "http://127.0.0.1:8000#light")),
        ("pyiqa:niqe", ("niqe", "pyiqa", "niqe")),
        ("Qwen/Qwen2.5-VL-7B-Instruct", ("Qwen/Qwen2.5-VL-7B-Instruct", "policy", "Qwen/Qwen2.5-VL-7B-Instruct")),
    ],
)
def test_kinds_of_models(word: str, found: tuple[str, str, str]) -> None:
    (spec,) = read_models([word])
    assert (spec.name, spec.kind, spec.source) == found


def test_a_folder_says_itself_what_it_is(tmp_path: Path) -> None:
    for name in ("scorer", "policy"):
        (tmp_path / name).mkdir()
    (tmp_path / "scorer" / "rali.json").write_text("{}")
    light, policy = read_models([str(tmp_path / "scorer"), f"p={tmp_path / 'policy'}"])
    assert (light.kind, light.name) == ("light", f"{tmp_path.name}/scorer")
    assert (policy.kind, policy.name) == ("policy", "p")


def test_a_folder_that_exists_is_meant_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=1e-6" / "policy").mkdir(parents=True)
    (tmp_path / "policy").mkdir()
    (model,) = read_models(["lr=1e-6/policy"])
    assert (model.kind, model.name, model.source) == ("policy", "lr=1e-6/policy", f"{tmp_path}/lr=1e-6/policy")
    (named,) = read_models(["lr=policy"])
    assert (named.name, named.source) == ("lr", f"{tmp_path}/policy")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["csv:scores.csv"], "a column of scores must be csv:FILE:COLUMN"),
        (["csv:a.csv:x", "csv:b.csv:x"], "two models are called 'x'; give one another name with --model NAME=MODEL"),
    ],
)
def test_what_cannot_be_told_apart(words: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        read_models(words)
