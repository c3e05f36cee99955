from pathlib import Path

import pytest

from ray_iqa.config.jobs.batch_score import BatchScoreConfig
from ray_iqa.config.load import dump_config, load_config, read_tree
from ray_iqa.config.train import TrainConfig
from ray_iqa.errors import ConfigError

CONFIGS = sorted(Path("configs/train").glob("*.yaml"))
KADID = "configs/train/kadid.yaml"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_loads_and_says_what_it_is_for(path: Path) -> None:
    load_config(TrainConfig, str(path))
    header = path.read_text().split("run_dir:")[0]
    for heading in ("# Purpose:", "# Hardware:", "# Command:"):
        assert heading in header


def test_overrides_replace_values_and_read_yaml() -> None:
    config = load_config(
        TrainConfig, KADID, ["learner.learning_rate=1e-3", "data.train=[a.csv, b.csv]", "reward.pairing_block=null"]
    )
    assert config.learner.learning_rate == 1e-3
    assert config.data.train == ["a.csv", "b.csv"]
    assert config.reward.pairing_block is None


def test_keys_that_had_one_value_are_read_and_said_not_to_be_needed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = tmp_path / "old.yaml"
    old.write_text(Path(KADID).read_text().replace("\nrollout:\n", "\nrollout:\n  type: vllm\n"))
    assert "type: vllm" in old.read_text()
    assert load_config(TrainConfig, str(old), ["learner.type=deepspeed"]) == load_config(TrainConfig, KADID)
    assert caplog.messages == [
        f"the key {key} is not needed any more: leave it out" for key in ("rollout.type", "learner.type")
    ]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("learner.lerning_rate=1", "unknown key 'learner.lerning_rate', did you mean 'learning_rate'?"),
        ("learner.learning_rate=-1", "learner.learning_rate: Input should be greater than 0, got -1"),
        ("rollout.num_completions=1", "rollout.num_completions: Input should be greater than or equal to 2, got 1"),
        ("learner", "an override must look like section.key=value, got 'learner'"),
        ("seed.value=3", "override 'seed.value=3': seed is a value, not a section"),
        ("data.images_per_step=3", "data.images_per_step must exceed data.min_partners, got 3 <= 3"),
        ("reward.pairing_block=3", "reward.pairing_block must exceed data.min_partners, got 3 <= 3"),
        ("weights.type=ipc", "weights.type ipc needs cluster.placement colocated, got separate"),
        (
            "rollout.max_workers=99 weights.type=ipc cluster.placement=colocated",
            "weights.type ipc needs a learner rank for each of rollout.max_workers",
        ),
        ("weights.type=nccl cluster.placement=colocated", "weights.type nccl needs GPUs of their own"),
        (
            "rollout.sleep_when_idle=true rollout.max_staleness=1 cluster.placement=colocated",
            "rollout.sleep_when_idle needs rollout.max_staleness 0, got 1",
        ),
        (
            "learner={zero_stage: 2, offload_parameters: true}",
            "offload_parameters needs zero_stage 3, got zero_stage 2",
        ),
        (
            "learner.warmup_steps=8 learner.updates_per_batch=2 schedule.num_steps=3",
            "learner.warmup_steps must be at most the run's 6 updates, got 8",
        ),
        ("policy.min_pixels=2000000", "min_pixels must be at most max_pixels, got 2000000 > 1003520"),
    ],
)
def test_a_wrong_override_is_one_sentence_that_names_it(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(TrainConfig, KADID, [override] if ": " in override else override.split())
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_values_that_disagree_are_said_at_once() -> None:
    overrides = ["rollout.max_tokens=9000", "data.images_per_step=2"]
    with pytest.raises(ConfigError) as caught:
        load_config(TrainConfig, "configs/train/kadid.yaml", overrides)
    assert "data.images_per_step must exceed data.min_partners, got 2 <= 3; rollout.max_tokens must be" in str(
        caught.value
    )
    with pytest.raises(ConfigError, match=r"pipeline: max_scorers must be at least min_scorers, got 1 < 3$"):
        load_config(
            BatchScoreConfig, "configs/rali/batch_score.yaml", ["pipeline.min_scorers=3", "pipeline.max_scorers=1"]
        )


def test_missing_files_and_missing_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"existing YAML file, got 'nowhere\.yaml'"):
        load_config(TrainConfig, "nowhere.yaml")
    file = tmp_path / "half.yaml"
    file.write_text("run_dir: /data/run\n")
    with pytest.raises(ConfigError, match="required key 'schedule' is missing"):
        load_config(TrainConfig, str(file))
    file.write_text("- a list\n")
    with pytest.raises(ConfigError, match="must hold a mapping of sections, found list"):
        load_config(TrainConfig, str(file))


def test_the_dump_loads_again_as_the_same_config(tmp_path: Path) -> None:
    config = load_config(TrainConfig, KADID, ["learner.lora={rank: 8}"])
    file = tmp_path / "resolved.yaml"  # JSON is YAML
    file.write_text(dump_config(config))
    assert load_config(TrainConfig, str(file)) == config


TWICE = """run_dir: /data/first
seed: 1
learner: &learner
  learning_rate: 1.0e-3
  {repeated}: 2.0e-3
run_dir: /data/second
"""


def test_a_key_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    file = tmp_path / "twice.yaml"
    file.write_text(TWICE.format(repeated="kl_coef"))
    with pytest.raises(
        ConfigError, match=r"twice.yaml line 6 is not valid YAML: the key 'run_dir' is already at line 1"
    ):
        load_config(TrainConfig, str(file))
    file.write_text(TWICE.format(repeated='"learning_rate"'))
    with pytest.raises(ConfigError, match=r"line 5 is not valid YAML: the key 'learning_rate' is already at line 4"):
        load_config(TrainConfig, str(file))


def test_keys_of_merged_mappings_may_be_replaced(tmp_path: Path) -> None:
    file = tmp_path / "merged.yaml"
    file.write_text(
        "z: {deep: {deeper: &b {<<: &a {x: 1, y: 2}, y: 3}}}\nc: {<<: *b, x: 4}\nd:\n  <<: *a\n  <<: *b\n  y: 5\n"
    )
    tree = read_tree(str(file))
    assert tree["z"]["deep"]["deeper"] == {"x": 1, "y": 3}
    assert tree["c"] == {"x": 4, "y": 3}
    assert tree["d"] == {"x": 1, "y": 5}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"seed: 1\nrun_dir: @x\n", r"bad.yaml line 2 is not valid YAML: found character '@'"),
        (b"run_dir: caf\xe9\n", r"bad.yaml must be UTF-8 text: invalid continuation byte at byte 12"),
        (b'seed: 1\nrun_dir: "a\\0b"\n', r"bad.yaml line 2 is not valid YAML: a value must be text without NUL, got"),
        (
            b'seed: 1\nrun_dir: "a\\ud800b"\n',
            r"bad.yaml line 2 is not valid YAML: a value must be text without NUL, got",
        ),
        (b"run_dir: a\0b\n", r"bad.yaml is not valid YAML: unacceptable character"),
        (b"run_dir: 2024-99-99\n", r"bad.yaml is not valid YAML: month must be in 1..12"),
        (b"run_dir: " + b"[" * 3000, r"bad.yaml is not valid YAML: "),
        (b"? [a]\n: 1\n", r"bad.yaml line 1 is not valid YAML: found unhashable key"),
        (b"a: *b\n", r"bad.yaml line 1 is not valid YAML: found undefined alias 'b'"),
        (b"", r"bad.yaml must hold a mapping of sections, found NoneType"),
    ],
)
def test_a_file_that_is_no_config_is_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=sentence) as caught:
        read_tree(str(file))
    assert "\n" not in str(caught.value)


def test_a_place_that_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for place in (tmp_path, tmp_path / "file" / "x.yaml", tmp_path / "loop", tmp_path / ("x" * 300)):
        with pytest.raises(ConfigError, match=r"a config must be an existing YAML file, got "):
            read_tree(str(place))
