"""`ray_iqa.load`: every kind of model gives one result type, for pictures of every kind."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from quickstart_runs import Start
from small_scorer import write_small_scorer

import ray_iqa
from ray_iqa.answers.verdict import Verdict
from ray_iqa.data.manifest import load_manifest
from ray_iqa.errors import ConfigError


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_scorer(tmp_path_factory.mktemp("light"))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(3).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_the_light_scorer_takes_what_people_have(light: Path, picture: Path) -> None:
    scorer = ray_iqa.load(light)
    pixels = np.asarray(Image.open(picture))
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
    kinds = [picture, str(picture), picture.read_bytes(), Image.open(picture), pixels, tensor]
    verdicts = scorer.score(kinds)
    assert all(isinstance(verdict, Verdict) for verdict in verdicts)
    assert [verdict.value for verdict in verdicts] == pytest.approx([scorer(picture).value] * 6, abs=1e-3)
    missing, broken = scorer.score([picture.parent / "no.png", b"broken"])
    assert (missing.value, missing.reason) == (None, f"{picture.parent}/no.png: no such image file")
    assert broken.value is None
    same = scorer.compare(picture, pixels)
    assert same.first_is_better == pytest.approx(0.5, abs=1e-2)
    assert same.first.value == pytest.approx(verdicts[0].value, abs=1e-5)
    assert scorer.compare(picture, b"broken").first_is_better is None


def test_a_policy_gives_the_same_picture_the_same_score_whatever_its_name(start: Start, tmp_path: Path) -> None:
    images = [image.image_path for image in load_manifest(start.manifests[0], "test")[:4]]
    scorer = ray_iqa.load(start.policy, engine={"max_model_len": 512, "kv_cache_gib": 0.25, "max_tokens": 24})
    first = scorer.score(images)
    copy = tmp_path / "another name.png"
    copy.write_bytes(Path(images[0]).read_bytes())
    tensor = torch.from_numpy(np.asarray(Image.open(images[0])).copy()).permute(2, 0, 1).float() / 255
    again = scorer.score([tensor, *images[:0:-1], copy])
    assert [verdict.value for verdict in again] == [first[i].value for i in (0, 3, 2, 1, 0)]
    assert {verdict.num_answers for verdict in first} == {6}
    assert scorer("nowhere.png").reason == "nowhere.png: no such image file"
    assert 0 <= (scorer.compare(images[0], images[1]).first_is_better or 0) <= 1
    scorer.model._sampler.close()


def test_importing_the_package_costs_nothing() -> None:
    code = "import sys, ray_iqa; ray_iqa.__version__; print([m for m in ('numpy', 'torch', 'ray') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "[]\n"
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        _ = ray_iqa.lod


def test_what_cannot_score_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a file of scores cannot score pictures"):
        ray_iqa.load("csv:scores.csv:mos")
    with pytest.raises(ConfigError, match=r"no model in .*: give the folder of a light scorer"):
        ray_iqa.load(tmp_path)
