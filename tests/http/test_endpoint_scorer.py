"""`ray-iqa eval --model http://...` against the real application on a real socket."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import KEY, served
from fastapi import FastAPI

from ray_iqa.client import Client, EndpointError
from ray_iqa.errors import ResourceError
from ray_iqa.evaluation.scorers.endpoint import EndpointScorer
from ray_iqa.evaluation.scorers.scorer import OnImages
from ray_iqa.rali.scorer import RaliScorer
from ray_iqa.types import LabelledImage


@pytest.fixture(scope="module")
def url(app: FastAPI) -> Iterator[str]:
    with served(app) as url:
        yield url.rstrip("/")


def image(path: Path) -> LabelledImage:
    return LabelledImage(
        image_id=path.name, image_path=str(path), dataset="d", mos=0.0, mos_std=None, higher_is_better=True
    )


def test_the_service_scores_what_is_there(
    url: str, artifact: Path, png: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_IQA_KEY", KEY)
    for seed in range(3):
        (tmp_path / f"{seed}.png").write_bytes(png(seed))
    (tmp_path / "broken.png").write_bytes(b"broken")
    (tmp_path / "large.png").write_bytes(bytes(2_100_000))  # a request of its own is too large for the service
    names = ["0.png", "missing.png", "1.png", "broken.png", "2.png", "large.png"]
    found = OnImages(EndpointScorer(f"{url}#light")).predict([image(tmp_path / name) for name in names])
    expected = RaliScorer.load(artifact).score([tmp_path / f"{seed}.png" for seed in range(3)])
    assert [found[place].value for place in (0, 2, 4)] == pytest.approx([row.value for row in expected], abs=1e-4)
    assert [found[place].spread for place in (0, 2, 4)] == pytest.approx([row.spread for row in expected], abs=1e-4)
    assert found[1].value is None
    assert found[1].reason == f"{tmp_path}/missing.png: no such image file"
    assert found[3].value is None
    assert "not a readable image" in str(found[3].reason)
    assert found[5].value is None
    assert "the service answered 413" in str(found[5].reason)


def test_a_model_that_the_service_has_not_is_one_sentence(
    url: str, png: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_IQA_KEY", KEY)
    (tmp_path / "0.png").write_bytes(png(0))
    with pytest.raises(EndpointError, match="the service answered 404"):
        OnImages(EndpointScorer(f"{url}#heavy")).predict([image(tmp_path / "0.png")])


def test_a_proxy_of_the_environment_gets_no_requests_to_this_machine_and_errors_name_it(
    url: str, png: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_IQA_KEY", KEY)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody answers there
    (tmp_path / "0.png").write_bytes(png(0))
    by_url = image(tmp_path / "0.png")
    [found] = OnImages(EndpointScorer(url)).predict([replace(by_url, image_path=f"file://{by_url.image_path}")])
    assert found.value is not None
    with (
        Client("http://scores.example", attempts=1) as client,
        pytest.raises(
            ResourceError, match=r"no answer from http://scores\.example through the proxy http://127\.0\.0\.1:9 in 1"
        ),
    ):
        client.models()
