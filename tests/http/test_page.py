"""The page at `/`, in a real browser where there is one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from chromium import PROGRAM, Tab, browser
from conftest import LIMITS, InProcess, Talking, served
from fastapi.testclient import TestClient

from ray_iqa.config.serve import AccessConfig
from ray_iqa.http.app import create_app
from ray_iqa.http.settings import Settings
from ray_iqa.serving.light_model import LightModel

needs_browser = pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def url(light: LightModel) -> Iterator[str]:
    access = AccessConfig(no_auth=True, requests_per_second=1000, burst=1000)
    app = create_app({"light": InProcess(light)}, access, Settings(LIMITS))
    with served(app) as url:
        yield url


@pytest.fixture(scope="module")
def talking_url(light: LightModel) -> Iterator[str]:
    """Of a service whose page has reasoning to show."""
    access = AccessConfig(no_auth=True, requests_per_second=1000, burst=1000)
    talker = Talking(light)
    app = create_app({"light": InProcess(light), "reasoning": talker}, access, Settings(LIMITS), reasoning=talker)
    with served(app) as url:
        yield url


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, png: Callable[..., bytes]) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    contents = {
        "one.png": png(1),
        "it's <b>two</b>.png": png(2, (120, 60)),
        "three.png": png(3),
        "torn.png": png(4)[:90],
    }
    for name, content in contents.items():
        (folder / name.replace("/", "_")).write_bytes(content)
    return sorted(folder.iterdir())


def test_its_policy_allows_nothing_from_elsewhere(client: TestClient) -> None:
    reply = client.get("/")
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy
    for outside in ("https://", "<script src", "<img", "@import", ": url("):
        assert outside not in reply.text, outside


@needs_browser
def test_several_pictures_are_ranked(tab: Tab, url: str, files: list[Path]) -> None:
    tab.open(url).wait_for("document.querySelector('#model').value === 'light'")
    tab.choose_files("#pick", files)
    tab.wait_for("document.querySelector('#status').textContent === '3 judged, 1 failed.'")
    upload = [("file", (path.name, path.read_bytes())) for path in files]
    items = httpx.post(f"{url}v1/score", files=upload, timeout=30).json()["data"]
    scored = [(item["value"], files[item["index"]].name) for item in items if item["value"] is not None]
    expected = [f"{place}. {name}" for place, (_, name) in enumerate(sorted(scored, reverse=True), start=1)]
    headings = tab.run("[...document.querySelectorAll('#results h2')].map(each => each.textContent)")
    assert headings == [*expected, "torn.png"]
    values = tab.run("[...document.querySelectorAll('#results .value')].map(each => each.textContent)")
    assert values == [f"{value:.2f}" for value, _ in sorted(scored, reverse=True)]
    assert tab.run("document.querySelector('#status').textContent") == "3 judged, 1 failed."
    assert tab.complaints == []


@needs_browser
def test_a_screen_reader_and_a_keyboard_find_everything(tab: Tab, url: str, files: list[Path]) -> None:
    tab.open(url).wait_for("document.querySelector('#model').value === 'light'")
    tab.choose_files("#pick", files[:1])
    tab.wait_for("document.querySelectorAll('#results svg').length === 1")
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    shown = [node for node in nodes if not node["ignored"]]
    named = {(node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in shown}
    assert {("button", "Copy as curl"), ("button", "Clear"), ("combobox", "Model"), ("textbox", "API key")} <= named
    assert ("list", "Ranking, best first") in named
    assert any(role in ("image", "img") and "on a scale from 1 to 5" in name for role, name in named)
    reached = []
    for _ in range(5):
        tab.press("Tab", 9)
        reached.append(tab.run("document.activeElement.id"))
    assert [name for name in reached if name] == ["pick", "model", "key", "curl", "clear"]
    tab.press("Enter", 13)
    tab.run("document.activeElement.click()")
    tab.wait_for("document.querySelectorAll('#results li').length === 0")


@needs_browser
def test_copy_as_curl_quotes_names(tab: Tab, url: str, files: list[Path]) -> None:
    tab.open(url).wait_for("document.querySelector('#model').value === 'light'")
    tab.choose_files("#pick", [path for path in files if "two" in path.name])
    tab.wait_for("document.querySelectorAll('#results svg').length === 1")
    command = tab.run("curl()")
    assert command.startswith(f"curl '{url}v1/score' -F 'model=light'")
    assert "-F 'file=@\"it'\\''s <b>two<" in command


@needs_browser
def test_reasoning_is_shown_while_it_is_written(tab: Tab, talking_url: str, files: list[Path]) -> None:
    tab.open(talking_url).wait_for("document.querySelectorAll('#model option').length === 3")
    tab.run(
        "by('model').value = 'reasoning'; window.seen = []; new MutationObserver(records =>"
        "records.forEach(each => seen.push(...[...each.addedNodes].map(node => node.data)))).observe(by('results'),"
        "{childList: true, subtree: true}); 0"
    )
    tab.choose_files("#pick", files)
    tab.wait_for("document.querySelector('#status').textContent === '3 judged, 1 failed.'")
    texts = tab.run("[...document.querySelectorAll('#results .reasoning')].map(each => each.textContent)")
    assert sorted(texts) == ["", *["It is sharp \u2014 and noisy."] * 3]
    assert len(set(tab.run("seen.filter(Boolean)"))) > 1  # it grew
    assert tab.run("document.querySelectorAll('#results svg').length") == 3
    headings = tab.run("[...document.querySelectorAll('#results h2')].map(each => each.textContent)")
    assert [heading[:3] for heading in headings[:3]] == ["1. ", "2. ", "3. "]
    tab.run("by('model').value = 'light'; judge()")
    tab.wait_for("[...document.querySelectorAll('#results .note')].some(each => each.textContent.includes('light'))")
    assert tab.run("[...document.querySelectorAll('#results .reasoning')].map(each => each.textContent).join('')") == ""
    assert tab.complaints == []


@needs_browser
def test_the_description_of_the_interface_is_shown(tab: Tab, talking_url: str) -> None:
    paths = httpx.get(f"{talking_url}openapi.json").json()["paths"]
    num_operations = sum(len(operations) for operations in paths.values())
    assert num_operations > 8
    tab.open(f"{talking_url}docs").wait_for(f"document.querySelectorAll('.opblock').length === {num_operations}")
    assert "/v1/chat/completions" in tab.run("document.body.textContent")
    assert tab.run("performance.getEntriesByType('resource').every(each => each.name.startsWith(location.origin))")
    assert tab.complaints == []
