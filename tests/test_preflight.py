import pytest

from ray_iqa.config.load import load_config
from ray_iqa.config.train import TrainConfig
from ray_iqa.errors import ConfigError
from ray_iqa.preflight import check_inputs


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("run_dir=s3://bucket/run", r"run_dir must be a path, got 's3://bucket/run'; .* set schedule.checkpoint_uri"),
        ("run_dir=runs/here", "run_dir must be absolute in a submitted job, .* got 'runs/here'"),
        ("policy.model=/nowhere", "found no config.json in '/nowhere'"),
        ("policy.prompt=thinkng", "did you mean 'thinking'"),
        ("data.train=[runs/none.csv]", "no 'runs/none.csv' in the working directory .*; give an absolute path"),
    ],
)
def test_a_path_that_cannot_do_is_one_sentence(monkeypatch: pytest.MonkeyPatch, override: str, sentence: str) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    config = load_config(TrainConfig, "configs/train/kadid.yaml", [override])
    with pytest.raises(ConfigError, match=sentence) as caught:
        check_inputs(config)
    assert "\n" not in str(caught.value)
