"""Describing, chatting and batches over HTTP; the model behind them is a stand-in with a fixed text."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import KEY, LIMITS, served
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ray_iqa.client import Client
from ray_iqa.config.serve import AccessConfig
from ray_iqa.http.app import create_app
from ray_iqa.http.settings import Settings

Encode = Callable[..., bytes]
THOUGHT, SAID = "It is sharp \u2014 and noisy.", "<answer>3.5</answer>"


def _uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _events(text: str) -> list[tuple[str | None, str]]:
    """(name, data) of each event; comments are left out."""
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if fields:
            events.append((fields.get("event"), fields["data"]))
    return events


def test_a_description_streams_the_reasoning_and_ends_with_the_score(talking: TestClient, png: Encode) -> None:
    reply = talking.post("/v1/describe", json={"images": [_uri(png())]})
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = _events(reply.text)
    assert "".join(json.loads(data)["text"] for name, data in events if name == "reasoning") == THOUGHT
    assert "".join(json.loads(data)["text"] for name, data in events if name == "answer") == SAID
    assert [name for name, _ in events][-2:] == ["score", None]
    assert events[-1][1] == "[DONE]"
    score = json.loads(events[-2][1])
    scored = talking.post("/v1/score", json={"images": [_uri(png())], "model": "reasoning"}).json()["data"][0]
    assert score == scored


def test_a_description_as_one_document_says_the_same(talking: TestClient, png: Encode) -> None:
    upload = {"file": ("a.png", png(), "image/png")}
    reply = talking.post("/v1/describe", files=upload, data={"stream": "false"}).json()
    assert (reply["reasoning"], reply["answer"], reply["score"]["status"]) == (THOUGHT, SAID, "ok")


def test_the_python_client_gets_the_description(talking_app: FastAPI, png: Encode) -> None:
    with served(talking_app) as url, Client(url, KEY) as client:
        reply = client.describe(png())
    assert (reply.reasoning, reply.answer, reply.score.status) == (THOUGHT, SAID, "ok")


def test_urls_are_fetched_from_listed_hosts_only(keys_file: Path) -> None:
    limits = LIMITS.model_copy(update={"fetch_hosts": ("images.example.org",)})
    app = create_app({}, AccessConfig(keys_file=str(keys_file)), Settings(limits))
    with TestClient(app, headers={"Authorization": f"Bearer {KEY}"}) as client:
        for url in ("https://127.0.0.1/", "https://evil.example.org/a.png", "http://images.example.org/a.png"):
            reply = client.post("/v1/score", json={"images": ["aGk=", url]})
            assert (reply.status_code, reply.json()["pointer"]) == (403, "/images/1"), url
            assert reply.json()["type"] == "urn:ray-iqa:problem:url-not-allowed", url


def test_a_broken_picture_is_described_by_its_failure(talking: TestClient) -> None:
    events = _events(talking.post("/v1/describe", json={"images": [_uri(b"x")]}).text)
    assert [name for name, _ in events] == ["score", None]
    assert json.loads(events[0][1])["status"] == "failed"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"images": []}, 422),
        ({"images": ["aGk=", "aGk="]}, 413),
        ({"images": ["aGk="], "model": "light"}, 404),
        ({"images": ["aGk="], "model": "cascade"}, 404),
        ({"images": ["aGk="], "threshold": 1}, 422),
        ({"images": ["https://example.org/a.png"]}, 403),
    ],
)
def test_what_cannot_be_described_is_refused(talking: TestClient, body: dict[str, object], status: int) -> None:
    reply = talking.post("/v1/describe", json=body)
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")


def test_routes_of_what_a_service_has_not_do_not_exist(client: TestClient, talking: TestClient) -> None:
    absent = {"/v1/describe", "/v1/chat/completions", "/v1/batches", "/v1/batches/{batch_id}"}
    for path in absent:
        reply = client.post(path, json={})
        assert (reply.status_code, reply.json()["type"]) == (404, "urn:ray-iqa:problem:not-found"), path
    described, everything = (set(each.get("/openapi.json").json()["paths"]) for each in (client, talking))
    assert everything - described == absent


def _chat(talking: TestClient, content: object, **more: object) -> dict[str, object]:
    body = {"model": "reasoning", "messages": [{"role": "user", "content": content}], **more}
    reply = talking.post("/v1/chat/completions", json=body)
    return {"status": reply.status_code, **reply.json()}


def test_chats_that_cannot_be_are_refused_with_a_pointer(talking: TestClient, png: Encode) -> None:
    picture = {"type": "image_url", "image_url": {"url": _uri(png())}}
    assert _chat(talking, [picture, {"type": "text", "text": "?"}])["status"] == 200
    twice = _chat(talking, [picture, picture])
    assert (twice["status"], twice["pointer"]) == (413, "/messages/0/content/1/image_url/url")
    broken = _chat(talking, [{"type": "image_url", "image_url": {"url": _uri(b"x")}}])
    assert (broken["status"], broken["type"]) == (422, "urn:ray-iqa:problem:refused-by-model")
    remote = _chat(talking, [{"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}])
    assert (remote["status"], remote["pointer"]) == (403, "/messages/0/content/0/image_url/url")
    for more in ({"temperature": 9}, {"n": 2}, {"tools": []}, {"messages": []}, {"model": None}):
        assert _chat(talking, "?", **more)["status"] == 422, more
    assert _chat(talking, "?", model="light")["status"] == 404


def test_batches_belong_to_the_key_that_asked(talking: TestClient) -> None:
    started = talking.post("/v1/batches", json={"input": "2026/holiday pictures"})
    assert (started.status_code, started.json()["status"]) == (202, "queued")
    assert talking.get(f"/v1/batches/{started.json()['id']}").json() == started.json()
    assert talking.get("/v1/batches/batch-none").status_code == 404
    for path in ("../etc", "/etc/passwd", "a/../../b", "a//b", ".ssh", "a'b", "a\nb", ""):
        assert talking.post("/v1/batches", json={"input": path}).status_code == 422, path


def test_prometheus_reads_requests_by_route(talking: TestClient) -> None:
    talking.get("/v1/models/nothing-like-it")
    talking.get("/made-up/by/a/stranger")
    text = talking.get("/metrics").text
    assert (
        'ray_iqa_http_requests_total{method="GET",problem="no-such-model",route="/v1/models/{name}",status="404"}'
        in text
    )
    assert 'route="other",status="404"' in text
    assert "ray_iqa_http_seconds_bucket" in text
    assert "stranger" not in text


def test_the_description_page_needs_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert "http" not in page.text.replace("http-equiv", "")
    assert "http" not in page.headers["content-security-policy"]
    for name, media_type in (("swagger-ui-bundle.js", "text/javascript"), ("swagger-ui.css", "text/css")):
        assert f"docs/{name}" in page.text
        assert client.get(f"/docs/{name}").headers["content-type"].startswith(media_type)
    assert client.get("/docs/../page.html").status_code == 404
    assert client.get("/docs/favicon.png").status_code == 404
