"""The whole page: what stands in it, what does not, and how a browser takes it."""

import base64
import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from chromium import PROGRAM, Tab, browser
from PIL import Image
from report_folders import DATASET, HOSTILE, LIGHT, POLICY, write_evaluation, write_run

from ray_iqa.errors import ConfigError, DataError
from ray_iqa.report.inputs import read_inputs
from ray_iqa.report.invariance import ScorerAtHand
from ray_iqa.report.page import write_report

needs_browser = pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine")
BRIGHTNESS = ScorerAtHand(
    name="brightness", score=lambda pictures: [float(np.asarray(picture).mean()) for picture in pictures]
)


class Elements(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def values(self, attribute: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(attribute)) is not None]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "home"
    write_run(folder / "run")
    write_evaluation(folder / "evaluation")
    write_report([folder], folder / "report.html", scorer=BRIGHTNESS)
    return folder


@pytest.fixture(scope="module")
def page(home: Path) -> Elements:
    return Elements((home / "report.html").read_text())


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


def test_every_chapter_has_content(page: Elements) -> None:
    chapters = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert chapters == [
        "results",
        "predictions",
        "cost",
        "training",
        "scores",
        "monotonicity",
        "invariance",
        "disagreement",
        "gmad",
    ]
    assert page.values("class").count("missing") == 0
    assert sum(tag == "table" for tag, _ in page.tags) == 6
    assert page.values("class").count("card") == 8 + 6  # disagreement, gMAD of 2 defenders x 3 levels


def test_the_page_needs_nothing_from_elsewhere(page: Elements) -> None:
    assert {value.partition(":")[0] for value in page.values("src")} == {"data"}
    assert all(value.startswith("#") for value in page.values("href"))
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "base", "form"}
    policy = next(attributes["content"] for tag, attributes in page.tags if tag == "meta" and "content" in attributes)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_what_a_model_wrote_is_text(page: Elements) -> None:
    assert HOSTILE in page.texts
    assert POLICY in page.texts
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert not {tag for tag, _ in page.tags} & {"b", "i", "script"}


def test_numbers_are_those_of_the_evaluation(home: Path, page: Elements) -> None:
    results = json.loads((home / "evaluation" / "results.json").read_text())["results"]
    for row in results:
        assert f"{row['srcc']:.3f} [{row['srcc_low']:.3f}, {row['srcc_high']:.3f}]" in page.texts
    assert [row["model"] for row in results] == [LIGHT, POLICY]
    assert DATASET in page.texts


def test_every_figure_is_a_file_of_each_kind_too(home: Path, page: Elements) -> None:
    figures = home / "report_figures"
    names = sorted(path.stem for path in figures.glob("*.svg"))
    expected = [
        "cost",
        "disagreement",
        "invariance",
        "monotonicity_0_0",
        "predictions_0",
        "score_histograms",
        "training_0",
    ]
    assert names == expected
    embedded = {value.partition(",")[2] for value in page.values("src") if value.startswith("data:image/svg")}
    assert embedded == {base64.b64encode(path.read_bytes()).decode() for path in figures.glob("*.svg")}
    for name in names:
        ET.parse(figures / f"{name}.svg")
        assert (figures / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert Image.open(BytesIO((figures / f"{name}.png").read_bytes())).width > 300


def test_pictures_are_lossless_copies_and_can_be_left_out(home: Path, tmp_path: Path) -> None:
    evaluation = home / "evaluation"
    page = Elements((home / "report.html").read_text())
    shown = [value for value in page.values("src") if value.startswith("data:image/png")]
    originals = {Image.open(path).tobytes() for path in (evaluation / "pictures").iterdir()}
    for value in shown:
        assert Image.open(BytesIO(base64.b64decode(value.partition(",")[2]))).tobytes() in originals
    write_report([evaluation], tmp_path / "bare.html", with_images=False)
    assert "data:image/png" not in (tmp_path / "bare.html").read_text()


def test_the_same_input_gives_the_same_figures(home: Path, tmp_path: Path) -> None:
    write_report([home], tmp_path / "report.html", scorer=BRIGHTNESS)
    for first in sorted((home / "report_figures").iterdir()):
        assert (tmp_path / "report_figures" / first.name).read_bytes() == first.read_bytes(), first.name


def test_a_chapter_without_input_says_what_to_run(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    write_report([tmp_path / "run"], tmp_path / "report.html")
    page = Elements((tmp_path / "report.html").read_text())
    missing = [text for text in page.texts if "ray-iqa eval" in text or "--model" in text]
    assert page.values("class").count("missing") == len(missing) == 7
    assert sorted(path.stem for path in (tmp_path / "report_figures").glob("*.svg")) == [
        "score_histograms",
        "training_0",
    ]


def test_models_of_two_evaluations_are_told_apart(home: Path, tmp_path: Path) -> None:
    write_evaluation(tmp_path / "second")
    write_report([home, tmp_path / "second"], tmp_path / "both.html", with_images=False)
    texts = Elements((tmp_path / "both.html").read_text()).texts
    assert f"home/evaluation: {LIGHT}" in texts
    assert f"{tmp_path.name}/second: {LIGHT}" in texts


def test_evaluations_of_one_name_are_told_apart_by_their_paths_and_read_once(home: Path, tmp_path: Path) -> None:
    for place in ("x", "y"):
        shutil.copytree(home / "evaluation", tmp_path / place / "run" / "evaluation")
    folders = [tmp_path / place / "run" / "evaluation" for place in ("x", "y", "x")]
    found = read_inputs(folders)
    assert found.models == [f"{folder}: {name}" for folder in folders[:2] for name in (LIGHT, POLICY)]
    assert len(found.predictions) == 2 * len(read_inputs(folders[:1]).predictions)


def test_what_cannot_be_reported_on_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"but .*nowhere is none"):
        write_report([tmp_path / "nowhere"], tmp_path / "report.html")
    with pytest.raises(ConfigError, match="found neither in"):
        write_report([tmp_path], tmp_path / "report.html")
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\nnonsense\n{"step": 3')
    with pytest.raises(DataError, match=r"metrics\.jsonl line 2 must be a JSON object with a step, found 'nonsense'"):
        write_report([tmp_path], tmp_path / "report.html")


@needs_browser
def test_a_browser_shows_all_of_it_and_runs_nothing(tab: Tab, home: Path) -> None:
    tab.open((home / "report.html").as_uri())
    assert tab.run("[...document.images].length") > 20
    assert tab.run("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert tab.run("window.hacked === undefined")
    assert tab.run("document.documentElement.scrollWidth <= window.innerWidth")
    assert tab.complaints == []


@needs_browser
def test_it_prints(tab: Tab, home: Path) -> None:
    tab.open((home / "report.html").as_uri())
    printed = base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert printed.startswith(b"%PDF")
    tab.call("Emulation.setEmulatedMedia", media="print")
    assert tab.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    tab.call("Emulation.setEmulatedMedia", media="")
