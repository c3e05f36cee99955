"""Without pyiqa one sentence; with it, what the adapter makes of the interface that pyiqa documents."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from ray_iqa.errors import ConfigError
from ray_iqa.evaluation.scorers.pyiqa_metric import PyiqaScorer
from ray_iqa.evaluation.scorers.scorer import OnImages
from ray_iqa.types import LabelledImage

STAND_IN = """
class Darkness:
    lower_better = True
    def __call__(self, picture):
        if picture.width < 9:
            raise RuntimeError("kernel size can't be greater than actual input size")
        return 255 - picture.getpixel((0, 0))[0]

def create_metric(name, device):
    assert name == "darkness", f"Unknown metric: {name}"
    return Darkness()
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "pyiqa.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("pyiqa", None)


def image(path: Path) -> LabelledImage:
    return LabelledImage(
        image_id=path.name, image_path=str(path), dataset="d", mos=0.0, mos_std=None, higher_is_better=True
    )


@pytest.mark.skipif(importlib.util.find_spec("pyiqa") is not None, reason="pyiqa is installed")
def test_without_the_package_one_sentence() -> None:
    with pytest.raises(ConfigError, match="need the package pyiqa, which is not installed"):
        PyiqaScorer("niqe", "cpu")


@pytest.mark.usefixtures("stand_in")
def test_a_metric_is_turned_so_that_higher_is_better(tmp_path: Path) -> None:
    for name, level in (("dark", 10), ("light", 240)):
        Image.new("RGB", (9, 9), (level,) * 3).save(tmp_path / f"{name}.png")
    Image.new("RGB", (5, 5)).save(tmp_path / "tiny.png")
    dark, light, missing, tiny = OnImages(PyiqaScorer("darkness", "cpu")).predict(
        [image(tmp_path / name) for name in ("dark.png", "light.png", "missing.png", "tiny.png")]
    )
    assert (dark.value, light.value) == (-245.0, -15.0)
    assert (missing.value, missing.reason) == (None, f"{tmp_path}/missing.png: no such image file")
    assert tiny.value is None
    assert "kernel size" in str(tiny.reason)
    with pytest.raises(ConfigError, match="no metric 'brightness': Unknown metric"):
        PyiqaScorer("brightness", "cpu")


def test_a_real_metric_where_pyiqa_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("pyiqa")
    levels = Image.new("L", (64, 64), 0)
    levels.paste(255, (0, 0, 64, 32))
    levels.convert("RGB").save(tmp_path / "two.png")
    two, missing = PyiqaScorer("entropy", "cpu").score([tmp_path / "two.png", tmp_path / "no.png"])
    assert two.value == pytest.approx(1.0, abs=1e-3)  # bits of two grey levels, half of the pixels each
    assert missing.value is None
    with pytest.raises(ConfigError, match="pyiqa has no metric 'brightness'"):
        PyiqaScorer("brightness", "cpu")
