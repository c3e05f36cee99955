from pathlib import Path

import pytest

from ray_iqa.config.load import load_config
from ray_iqa.config.train import TrainConfig
from ray_iqa.errors import ConfigError, DataError
from ray_iqa.preflight import check_inputs, load_images


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


HEADER = "dataset,image_id,path,mos,direction,group_id\n"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (("d,a,a.png,1,higher,", "d,a,a.png,2,higher,"), "sources of dataset 'd' image_id 'a' is already at picture"),
        (("d,a,a.png,1,higher,", "d,b,b.png,2,lower,"), "the sources of dataset 'd' must agree on direction"),
        (
            ("d,a,a.png,1,higher,s", "d,b,b.png,2,higher,"),
            "either all rows of dataset 'd' must have a group_id or no",
        ),
    ],
)
def test_manifests_of_one_dataset_must_agree(tmp_path: Path, rows: tuple[str, str], sentence: str) -> None:
    manifests = [tmp_path / f"{number}.csv" for number in range(2)]
    for manifest, row in zip(manifests, rows, strict=True):
        manifest.write_text(HEADER + row + "\n")
    with pytest.raises(DataError, match=sentence):
        load_images([str(manifest) for manifest in manifests], None)
