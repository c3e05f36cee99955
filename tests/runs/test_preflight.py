import time
from pathlib import Path

import pytest
from PIL import Image

from ray_iqa.config.load import load_config
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.config.train import TrainConfig
from ray_iqa.errors import ConfigError, DataError
from ray_iqa.runs.preflight import check_hub, check_inputs, check_pictures, load_images


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


HEADER = "dataset,image_id,path,mos,direction,scene_id\n"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (("d,a,a.png,1,higher,", "d,a,a.png,2,higher,"), "sources of dataset 'd' image_id 'a' is already at picture"),
        (("d,a,a.png,1,higher,", "d,b,b.png,2,lower,"), "the sources of dataset 'd' must agree on direction"),
        (
            ("d,a,a.png,1,higher,s", "d,b,b.png,2,higher,"),
            "either all rows of dataset 'd' must have a scene_id or no",
        ),
    ],
)
def test_manifests_of_one_dataset_must_agree(tmp_path: Path, rows: tuple[str, str], sentence: str) -> None:
    manifests = [tmp_path / f"{number}.csv" for number in range(2)]
    for manifest, row in zip(manifests, rows, strict=True):
        manifest.write_text(HEADER + row + "\n")
    with pytest.raises(DataError, match=sentence):
        load_images([str(manifest) for manifest in manifests], None)


def test_pictures_that_cannot_be_used_are_named_with_their_reasons(tmp_path: Path) -> None:
    sizes = {"good.png": (64, 64), "thin.png": (3000, 1), "large.png": (8000, 7000)}
    for name, size in sizes.items():
        Image.new("1", size).save(tmp_path / name)
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    (tmp_path / "folder.png").mkdir()
    names = [*sizes, "broken.jpg", "gone.png", "folder.png", "gone too.png"]
    with pytest.raises(DataError) as caught:
        check_pictures([*(str(tmp_path / name) for name in [*names, *names]), "s3://bucket/any.png"])
    said = str(caught.value)
    assert said.startswith(f"6 of 7 pictures cannot be used: {tmp_path}/thin.png: one side may be at most 100 times")
    assert "large.png: an image may have at most 50000000 pixels, got 8000 x 7000" in said
    assert "broken.jpg: not a readable image" in said
    assert "gone.png: no such image file" in said
    assert said.endswith("; ...")
    assert "\n" not in said
    check_pictures([str(tmp_path / "good.png"), "s3://bucket/any.png"])
    check_pictures([])


def test_a_length_that_nobody_can_tell_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.new("L", (640, 480)).save(tmp_path / "a.png")
    check_pictures([str(tmp_path / "a.png")], PolicyConfig(model="nobody/has-this"), VllmRolloutConfig())
    assert "prompt lengths are not checked" in caplog.text


def test_a_hub_name_is_looked_up_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    began = time.monotonic()
    with pytest.raises(
        ConfigError, match=r"no folder 'nobody/has-this-model', the cache has no .* asking the hub ended"
    ):
        check_hub("nobody/has-this-model")  # with a network the hub says that it has none
    assert time.monotonic() - began < 60
    cached = tmp_path / "models--nobody--has-this-model"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("f" * 40)
    (cached / "snapshots" / ("f" * 40)).mkdir(parents=True)
    (cached / "snapshots" / ("f" * 40) / "config.json").write_text("{}")
    check_hub("nobody/has-this-model")
