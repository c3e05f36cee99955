"""What the shell passes is what is used: structure is looked for only where the key's type wants one."""

import json

import pytest

from ray_iqa.config.jobs.evaluate import EvalConfig
from ray_iqa.config.load import build_config, load_config
from ray_iqa.config.train import TrainConfig
from ray_iqa.errors import ConfigError

KADID = "configs/train/kadid.yaml"
TEXTS = (
    "/data/run #2",
    "@x",
    "100%",
    "null",
    "~",
    "1e3",
    "007",
    "yes",
    "a: b",
    "{a: 1}",
    "[x]",
    "[x",
    "- a",
    "a=b",
    "'quoted'",
    '"',
    "*x",
    "&x",
    "!x",
    "|",
    " padded ",
    "2024-01-01",
    "a\tb",
    "\u00e9\u4e2d\U0001f600",
)


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_used_as_it_is(text: str) -> None:
    config = load_config(TrainConfig, KADID, [f"run_dir={text}", f"policy.model={text}", f"data.train={text}x"])
    assert config.run_dir == config.policy.model == text
    assert config.data.train == [f"{text}x"]


@pytest.mark.parametrize("text", [text for text in TEXTS if text != "null"])
def test_text_that_may_be_none_is_used_as_it_is(text: str) -> None:
    assert load_config(TrainConfig, KADID, [f"evaluation.split={text}"]).evaluation.split == text


@pytest.mark.parametrize("override", ["evaluation.split=null", "evaluation.split=", "evaluation.max_images=null"])
def test_null_or_nothing_is_none_where_a_key_may_be_none(override: str) -> None:
    key = override.split("=")[0].split(".")[1]
    assert getattr(load_config(TrainConfig, KADID, [override]).evaluation, key) is None


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("/a/m.csv", ["/a/m.csv"]),
        ("/a/m.csv,/b/m.csv", ["/a/m.csv,/b/m.csv"]),
        ("[/a #1/m.csv]", ["/a #1/m.csv"]),
        ("[a,b]", ["a", "b"]),
        ("[ a.csv , /b: c/@1.csv, 100%, ]", ["a.csv", "/b: c/@1.csv", "100%"]),
        ("['a, b.csv', 'it''s', \"c, d\"]", ["a, b.csv", "it's", "c, d"]),
        ("[null, 1, true]", ["null", "1", "true"]),
        ("[it's, 5\" disk]", ["it's", '5" disk']),
        ("[ab]*.csv", ["[ab]*.csv"]),
        (json.dumps(["a, b", "c\\d", "\u00e9\U0001f600", "e #1"]), ["a, b", "c\\d", "\u00e9\U0001f600", "e #1"]),
    ],
)
def test_lists(text: str, items: list[str]) -> None:
    assert load_config(TrainConfig, KADID, [f"data.train={text}"]).data.train == items


def test_numbers_sections_and_what_may_be_either() -> None:
    config = load_config(
        TrainConfig,
        KADID,
        [
            "learner.learning_rate=1e-3",
            "learner.betas=[0.8, 0.9]",
            "rollout.enforce_eager=true",
            "learner.zero_stage=2",
            "evaluation.max_images=7",
            "learner.lora=null",
            "learner.lora.rank=8",
            "learner.lora.target_modules=[q, v]",
            "weights={chunk_mib: 64}",
        ],
    )
    assert (config.learner.learning_rate, config.learner.betas, config.learner.zero_stage) == (1e-3, (0.8, 0.9), 2)
    assert (config.rollout.enforce_eager, config.evaluation.max_images, config.weights.chunk_mib) == (True, 7, 64)
    assert config.learner.lora is not None
    assert (config.learner.lora.rank, config.learner.lora.target_modules) == (8, ["q", "v"])
    config = load_config(TrainConfig, KADID, ["learner.lora.target_modules=all: linear"])
    assert config.learner.lora is not None
    assert config.learner.lora.target_modules == "all: linear"
    assert load_config(TrainConfig, KADID, ["learner.lora=null"]).learner.lora is None
    tree = {"models": ["m"], "data": ["d"], "out": "o"}
    assert build_config(EvalConfig, tree, ["num_ratings.kadid10k=30"], "here").num_ratings == {"kadid10k": 30}


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("run_dir=", "override 'run_dir=' has no value; is a variable of the shell not set?"),
        ("data.train=", "override 'data.train=' has no value"),
        ("data.train=[]", "data.train: List should have at least 1 item"),
        ("data.train=[/a,,/b]", "override 'data.train=[/a,,/b]' has an empty item"),
        ('data.train=["a\\qb"]', '"a\\qb" must be quoted as in JSON'),
        ("seed=", "override 'seed=' has no value"),
        ("seed=1 #2", "seed: Input should be a valid integer"),
        ("seed=@x", "seed: Input should be a valid integer"),
        ("weights={chunk_mib: @}", "override 'weights={chunk_mib: @}' line 1 is not valid YAML: found character '@'"),
        ("weights={chunk_mib: 1, chunk_mib: 2}", "the key 'chunk_mib' is already at line 1"),
        ("learner.lora.rnk=8", "unknown key 'learner.lora.rnk', did you mean 'rank'?"),
        ("nothing.like=@it", "unknown key 'nothing'"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(TrainConfig, KADID, [override])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
