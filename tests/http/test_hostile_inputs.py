"""Whatever is sent gets a documented answer soon, and the endpoint keeps serving."""

import base64
import json
import resource
import time
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from hostile_files import readable, unreadable

FORM = "multipart/form-data; boundary=b"
DOCUMENTED = {200, 400, 401, 403, 404, 405, 413, 415, 422, 429}


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.fixture(autouse=True)
def _still_serving(client: TestClient, png: Callable[..., bytes]) -> Iterator[None]:
    """After every test a good picture is scored as before, and the process has not grown by gigabytes."""
    yield
    reply = client.post("/v1/score", json={"images": [_text(png())]})
    assert reply.json()["data"][0]["status"] == "ok"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 3_000_000  # KiB, torch included


def test_unusual_pictures_are_scored(client: TestClient) -> None:
    for name, content in readable():
        reply = client.post("/v1/score", files={"file": ("\u202e\U0001f5bc/../%00.png", content, "application/pdf")})
        [item] = reply.json()["data"]
        assert item["status"] == "ok", (name, item["reason"])
        assert 1.0 <= item["value"] <= 5.0, name
    assert len(list(readable())) >= 30


def test_other_files_are_failed_rows_with_a_reason(client: TestClient) -> None:
    for name, content in unreadable():
        began = time.monotonic()
        reply = client.post("/v1/score", json={"images": [_text(content)]})
        assert reply.status_code == 200, (name, reply.text)
        [item] = reply.json()["data"]
        assert (item["status"], item["value"], item["spread"]) == ("failed", None, None), name
        assert item["reason"], name
        assert time.monotonic() - began < 60, name  # a decoder is killed long before
    num_files = len(list(readable())) + len(list(unreadable()))
    assert num_files + len(BODIES) + len(CHATS) + len(BATCHES) >= 200


def _form(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


_FILE = b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\nnot a picture'
BODIES: dict[str, tuple[str, bytes, int]] = {
    "no body": ("application/json", b"", 400),
    "cut JSON": ("application/json", b'{"images": ["', 400),
    "no JSON": ("application/json", b"<xml/>", 400),
    "not UTF-8": ("application/json", b'{"images": ["\xff\xfe"]}', 400),
    "deep JSON": ("application/json", b"[" * 10_000, 400),
    "very deep JSON": ("application/json", b"[" * 100_000, 413),
    "many values": ("application/json", b'{"messages": [' + b"{}," * 20_000 + b"{}]}", 413),
    "many values in UTF-16": ("application/json", ('{"images": [' + "0," * 30_000 + "0]}").encode("utf-16"), 413),
    "deep value": ("application/json", b'{"images":' + b"[" * 500 + b"]" * 500 + b"}", 400),
    "a list": ("application/json", b"[]", 422),
    "null": ("application/json", b"null", 422),
    "no images": ("application/json", b"{}", 422),
    "empty images": ("application/json", b'{"images": []}', 422),
    "images as text": ("application/json", b'{"images": "x"}', 422),
    "image as number": ("application/json", b'{"images": [1]}', 422),
    "image as object": ("application/json", b'{"images": [{"url": "x"}]}', 422),
    "unknown key": ("application/json", b'{"images": ["aGk="], "modle": "light"}', 422),
    "bad threshold": ("application/json", b'{"images": ["aGk="], "threshold": -1}', 422),
    "NaN threshold": ("application/json", b'{"images": ["aGk="], "threshold": NaN}', 422),
    "no base64": ("application/json", b'{"images": ["!!!"]}', 422),
    "base64 not padded": ("application/json", b'{"images": ["abc"]}', 422),
    "not ASCII": ("application/json", '{"images": ["\u202e\U0001f5bc"]}'.encode(), 422),
    "lone surrogate": ("application/json", b'{"images": ["\\ud800"]}', 400),
    "empty image": ("application/json", b'{"images": [""]}', 200),
    "data URI not base64": ("application/json", b'{"images": ["data:image/png,abc"]}', 422),
    "data URI without comma": ("application/json", b'{"images": ["data:image/png;base64"]}', 422),
    "https URL": ("application/json", b'{"images": ["https://example.org/a.png"]}', 403),
    "URL of this machine": ("application/json", b'{"images": ["http://127.0.0.1:8265/api"]}', 403),
    "URL of the cloud": ("application/json", b'{"images": ["http://169.254.169.254/latest"]}', 403),
    "file URL": ("application/json", b'{"images": ["file:///etc/passwd"]}', 403),
    "s3 URL": ("application/json", b'{"images": ["S3://bucket/key"]}', 403),
    "local path": ("application/json", b'{"images": ["/etc/shadow."]}', 422),
    "path up": ("application/json", b'{"images": ["../../etc/passwd"]}', 422),
    "unknown model": ("application/json", b'{"images": ["aGk="], "model": "../x"}', 404),
    "too many images": ("application/json", json.dumps({"images": ["aGk="] * 9}).encode(), 413),
    "image too large": ("application/json", json.dumps({"images": ["A" * 2_800_000]}).encode(), 413),
    "body too large": ("application/json", b" " * 6_000_001, 413),
    "no media type": ("", b"{}", 415),
    "text": ("text/plain", b'{"images": []}', 415),
    "raw image": ("image/png", b"\x89PNG", 415),
    "urlencoded": ("application/x-www-form-urlencoded", b"images=x", 415),
    "odd media type": ("application/json\x7f; a=\x80".encode("latin-1").decode("latin-1"), b"{}", 415),
    "form without boundary": ("multipart/form-data", _form(_FILE), 400),
    "form of another boundary": ("multipart/form-data; boundary=c", _form(_FILE), 400),
    "empty form": (FORM, b"", 422),
    "form cut short": (FORM, _form(_FILE)[:-6], 422),
    "form without end": (FORM, _form(_FILE)[:30], 422),
    "form without headers": (FORM, b"--b\r\n\r\n", 400),
    "form of garbage": (FORM, bytes(range(256)) * 20, 400),
    "form with pictures as text": (FORM, _form(b'Content-Disposition: form-data; name="images"\r\n\r\naGk='), 422),
    "form with many fields": (FORM, _form(*[b'Content-Disposition: form-data; name="x"\r\n\r\ny'] * 50), 400),
    "form with many files": (FORM, _form(*[_FILE] * 50), 400),
    "form with an unnamed part": (FORM, _form(b"Content-Disposition: form-data\r\n\r\nx"), 400),
    "form with an endless header": (FORM, _form(b"X: " + b"x" * 100_000 + b"\r\n\r\nx"), 400),
    "form with a large file": (FORM, _form(_FILE + b"x" * 2_000_001), 413),
    "form with one broken picture": (FORM, _form(_FILE), 200),
}


@pytest.mark.parametrize(
    "path", ["/v1/score", "/v1/compare", "/v1/rerank", "/reward", "/v1/describe", "/v1/chat/completions", "/v1/batches"]
)
def test_every_body_has_a_documented_answer(talking: TestClient, path: str) -> None:
    for name, (media_type, body, _) in BODIES.items():
        reply = talking.post(path, content=body, headers={"content-type": media_type.encode("latin-1")})
        assert reply.status_code in DOCUMENTED, (name, reply.status_code)
        if reply.status_code != 200:
            assert reply.headers["content-type"] == "application/problem+json", name
            problem = reply.json()
            assert problem["status"] == reply.status_code, name
            assert problem["type"].startswith("urn:ray-iqa:problem:"), name
            assert problem["instance"] == reply.headers["x-request-id"], name


@pytest.mark.parametrize("name", BODIES)
def test_bodies_of_the_score_route(client: TestClient, name: str) -> None:
    media_type, body, status = BODIES[name]
    reply = client.post("/v1/score", content=body, headers={"content-type": media_type.encode("latin-1")})
    assert reply.status_code == status, reply.text


_URI = "data:image/png;base64,"
CHATS: dict[str, tuple[object, int]] = {
    "nothing": ({}, 422),
    "no messages": ({"messages": []}, 422),
    "messages as text": ({"messages": "hello"}, 422),
    "many messages": ({"messages": [{"role": "user", "content": "x"}] * 65}, 422),
    "no content": ({"messages": [{"role": "user"}]}, 422),
    "null content": ({"messages": [{"role": "user", "content": None}]}, 422),
    "unknown role": ({"messages": [{"role": "root", "content": "x"}]}, 422),
    "unknown part": ({"messages": [{"role": "user", "content": [{"type": "video_url"}]}]}, 422),
    "part without type": ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, 422),
    "picture as text": ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}, 422),
    "unknown parameter": ({"messages": [{"role": "user", "content": "x"}], "tools": []}, 422),
    "several answers": ({"messages": [{"role": "user", "content": "x"}], "n": 100}, 422),
    "no tokens": ({"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}, 422),
    "endless tokens": ({"messages": [{"role": "user", "content": "x"}], "max_tokens": 10**30}, 422),
    "hot": ({"messages": [{"role": "user", "content": "x"}], "temperature": 1e300}, 422),
    "temperature as text": ({"messages": [{"role": "user", "content": "x"}], "temperature": "hot"}, 422),
    "penalty": ({"messages": [{"role": "user", "content": "x"}], "presence_penalty": -99}, 422),
    "stream as object": ({"messages": [{"role": "user", "content": "x"}], "stream": {}}, 422),
    "a book": ({"messages": [{"role": "user", "content": "x" * 1_000_001}]}, 422),
    "huge seed": ({"messages": [{"role": "user", "content": "x"}], "seed": 10**300}, 200),
    "another model": ({"messages": [{"role": "user", "content": "x"}], "model": "gpt"}, 404),
    **{
        f"picture {url[:40]!r}": (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]},
            status,
        )
        for url, status in (
            ("", 422),
            (_URI, 422),
            (f"{_URI}!", 422),
            (f"{_URI}aGk=", 422),
            (_URI + "A" * 2_800_000, 413),
            ("data:image/png,x", 422),
            ("/etc/passwd", 422),
            ("file:///etc/passwd", 403),
            ("http://127.0.0.1:8265", 403),
            ("https://169.254.169.254/", 403),
            ("https://[::1", 403),
        )
    },
}
BATCHES: dict[str, tuple[object, int]] = {
    "nothing": ({}, 422),
    "a list": ([], 422),
    "a number": ({"input": 5}, 422),
    "another model": ({"input": "a", "model": "reasoning"}, 422),
    "unknown key": ({"input": "a", "output": "/etc"}, 422),
    **{
        f"input {path[:20]!r}": ({"input": path}, 422)
        for path in ("", "/etc", "../x", "a/../b", "a/..", "~", "a\0b", "a;b", "$(id)", "a'b", "\u202e", "x" * 501)
    },
}


@pytest.mark.parametrize("name", CHATS)
def test_bodies_of_the_chat_route(talking: TestClient, name: str) -> None:
    body, status = CHATS[name]
    reply = talking.post("/v1/chat/completions", json={"model": "reasoning", **body})
    assert reply.status_code == status, reply.text
    if status != 200:
        assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", BATCHES)
def test_bodies_of_the_batch_route(talking: TestClient, name: str) -> None:
    body, status = BATCHES[name]
    reply = talking.post("/v1/batches", json=body)
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json"), reply.text


def test_an_oversized_body_without_announced_length_is_cut_off(client: TestClient) -> None:
    num_sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal num_sent
        while True:
            num_sent += 1_000_000
            yield b"x" * 1_000_000

    reply = client.post("/v1/score", content=_first(endless(), 40), headers={"content-type": "application/json"})
    assert reply.status_code == 413


def _first(chunks: Iterator[bytes], number: int) -> Iterator[bytes]:
    for _, chunk in zip(range(number), chunks, strict=False):
        yield chunk


def test_other_methods_and_paths_are_problems_too(client: TestClient) -> None:
    for method, path, status in (("GET", "/v1/score", 405), ("POST", "/v1/scores", 404), ("GET", "/../etc", 404)):
        reply = client.request(method, path)
        assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
