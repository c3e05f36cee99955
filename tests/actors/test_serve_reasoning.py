"""Both models behind one service: vLLM on a tiny policy, and the cascade."""

import base64
import io
import json
import re
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
import ray
from exported_metrics import await_exported
from PIL import Image
from quickstart_runs import REPOSITORY, Start
from ray import serve
from ray.serve.config import ProxyLocation
from ray.serve.context import _get_global_client
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ServeDeploySchema
from safetensors.torch import load_file, save_file
from test_serve_app import save_artifact


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    save_artifact(folder, seed=1)
    return folder


@pytest.fixture(scope="module")
def client(joined_ray: None, start: Start, folder: Path) -> Iterator[httpx.Client]:  # noqa: ARG001 - Ray must run
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve.start(proxy_location=ProxyLocation.HeadOnly, http_options={"host": "127.0.0.1", "port": port})
    _deploy(folder, start.policy, {})
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
        yield client
    serve.shutdown()


def _deploy(artifact: Path, policy: Path, changes: dict[str, str]) -> None:
    """What `serve deploy` does; a second call with other ``changes`` changes what runs."""
    arguments = {
        "light": {"artifact": str(artifact)},
        "reasoning": {
            "policy": {"model": str(policy), "dtype": "float32", "max_pixels": 6_000_000},
            "engine": {"num_completions": 4, "max_tokens": 24, "max_model_len": 4096}
            | {"kv_cache_gib": 0.25, "enforce_eager": True, "num_threads": 1},
        },
        "access": {"no_auth": True, "requests_per_second": 1000, "burst": 1000},
    }
    application = {
        "name": "iqa",
        "import_path": "serve_app:build_app",
        "args": arguments,
        "deployments": [{"name": "ReasoningScorer", "user_config": changes}],
    }
    _get_global_client().deploy_apps(ServeDeploySchema(applications=[application]), _blocking=False)
    deadline = time.monotonic() + 400  # Serve itself would wait a minute, which an engine may need on a busy machine
    while (app := serve.status().applications.get("iqa")) is None or app.status != "RUNNING":
        assert time.monotonic() < deadline, app
        time.sleep(0.2)


def _files(number: int) -> list[tuple[str, tuple[str, bytes, str]]]:
    files = []
    for seed in range(number):
        buffer = io.BytesIO()
        pixels = np.random.default_rng(seed).integers(0, 256, (56, 56, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(buffer, "PNG")
        files.append(("file", (f"{seed}.png", buffer.getvalue(), "image/png")))
    return files


def _items(client: httpx.Client, files: list[tuple[str, tuple[str, bytes, str]]], **fields: str) -> list[dict]:
    reply = client.post("/v1/score", files=files, data=fields)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


def test_sampled_answers_become_a_score_with_a_spread(client: httpx.Client) -> None:
    items = _items(client, _files(8), model="reasoning")
    scored = [item for item in items if item["status"] == "ok"]
    assert len(scored) >= 4
    for item in scored:
        assert (item["model"], item["prompt_id"]) == ("reasoning", "thinking")
        assert 1.0 <= item["value"] <= 5.0
        assert len(item["revision"]) == 16
    assert any(item["spread"] for item in scored)
    assert all("no readable score in 4 answers" in item["reason"] for item in items if item["status"] == "failed")


def test_a_picture_gets_the_same_answers_in_any_company(client: httpx.Client) -> None:
    files = _files(5)
    together = _items(client, files, model="reasoning")
    alone = [_items(client, [file], model="reasoning")[0] for file in files]
    assert [(item["value"], item["spread"]) for item in together] == [(item["value"], item["spread"]) for item in alone]


def test_the_cascade_says_who_answered(client: httpx.Client) -> None:
    assert [card["id"] for card in client.get("/v1/models").json()["data"]] == ["light", "reasoning", "cascade"]
    files = [*_files(3), ("file", ("x", b"broken", "image/png"))]
    light = _items(client, files, model="light")
    spreads = sorted(item["spread"] for item in light[:3])
    threshold = str((spreads[0] + spreads[1]) / 2)
    items = _items(client, files, model="cascade", threshold=threshold)
    expected = ["light" if item["spread"] is None or item["spread"] == spreads[0] else "reasoning" for item in light]
    assert [item["model"] for item in items] == expected
    assert {item["model"] for item in _items(client, files, model="cascade", threshold="9")} == {"light"}


def test_a_picture_that_the_model_refuses_fails_alone(client: httpx.Client) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (2400, 2400)).save(buffer, "PNG")  # 7,396 tokens
    files = [*_files(1), ("file", ("large", buffer.getvalue(), "image/png"))]
    alone, large = _items(client, files, model="reasoning")
    assert alone == _items(client, files[:1], model="reasoning")[0]
    assert (large["status"], large["value"]) == ("failed", None)
    assert "the policy cannot look at it" in large["reason"]


def test_user_config_swaps_the_weights_without_a_restart(
    client: httpx.Client, folder: Path, start: Start, tmp_path: Path
) -> None:
    before, replicas = _items(client, _files(4), model="reasoning"), _replicas()
    shutil.copytree(start.policy, tmp_path / "other")
    [weights] = (tmp_path / "other").glob("*.safetensors")
    tensors = {name: tensor * 1.05 for name, tensor in load_file(weights).items()}
    save_file(tensors, weights, {"format": "pt"})

    for model, is_as_before in ((tmp_path / "other", False), (start.policy, True)):
        _deploy(folder, start.policy, {"model": str(model)})
        deadline = time.monotonic() + 300
        while (client.get("/v1/models").json()["data"][1]["revision"] == before[0]["revision"]) != is_as_before:
            assert time.monotonic() < deadline, "the weights are not swapped"
            time.sleep(0.2)
        assert (_items(client, _files(4), model="reasoning") == before) == is_as_before
    assert _replicas() == replicas


def _replicas() -> list[str]:
    actors = ray.util.list_named_actors(all_namespaces=True)
    return sorted(actor["name"] for actor in actors if "ReasoningScorer" in actor["name"])


def _streamed(client: httpx.Client, file: tuple[str, tuple[str, bytes, str]]) -> list[tuple[str, dict, float]]:
    """Events of a description: name, data and when it arrived."""
    events, name = [], ""
    with client.stream("POST", "/v1/describe", files=[file]) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        for line in reply.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: {"):
                events.append((name, json.loads(line.removeprefix("data: ")), time.monotonic()))
    return events


def test_a_description_streams_and_its_score_is_the_score(client: httpx.Client) -> None:
    [file] = _files(1)
    events, deadline = _streamed(client, file), time.monotonic() + 120
    while len({moment for _, _, moment in events}) <= 4:  # vLLM joins what a busy machine has not sent yet
        assert time.monotonic() < deadline, events
        events = _streamed(client, file)
    scores = [data for name, data, _ in events if name == "score"]
    assert scores == _items(client, [file], model="reasoning")
    whole = client.post("/v1/describe", files=[file], data={"stream": "false"}).json()
    assert whole["reasoning"] == "".join(data["text"] for name, data, _ in events if name == "reasoning")
    assert whole["score"] == scores[0]


@pytest.fixture
def official(client: httpx.Client) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{client.base_url}/v1", api_key="unused", max_retries=0) as official:
        yield official


def _question() -> list[dict]:
    [(_, (_, content, _))] = _files(1)
    url = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return [
        {"role": "system", "content": "You are a helpful assistant."},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": url}},
                {"type": "text", "text": "How good is this picture?"},
            ],
        },
    ]


def test_the_official_client_lists_models_and_chats(official: openai.OpenAI) -> None:
    assert [model.id for model in official.models.list()] == ["light", "reasoning", "cascade"]
    asked = {"model": "reasoning", "messages": _question(), "max_tokens": 40}
    whole = official.chat.completions.create(**asked)
    choice = whole.choices[0]
    assert choice.finish_reason in ("stop", "length")
    said = choice.message.content
    thought = getattr(choice.message, "reasoning", "")
    assert said is not None
    assert said + thought
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens

    chunks = list(official.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == said
    assert "".join(getattr(delta, "reasoning", None) or "" for delta in deltas) == thought
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == choice.finish_reason
    assert chunks[-1].usage == whole.usage
    assert len(deltas) > 1


def test_a_seed_changes_the_answer_and_nothing_else_does(official: openai.OpenAI) -> None:
    def answer(**more: int) -> str:
        reply = official.chat.completions.create(
            model="reasoning", messages=_question(), max_tokens=40, temperature=1.5, **more
        )
        return reply.choices[0].message.model_dump_json()

    assert answer() == answer()
    assert answer(seed=5) == answer(seed=5)
    assert len({answer(seed=seed) for seed in range(6)}) > 1


def test_the_official_client_is_told_what_was_wrong(official: openai.OpenAI) -> None:
    for kind, model, text, words in (
        (openai.NotFoundError, "reasonin", "?", "did you mean 'reasoning'"),
        (openai.UnprocessableEntityError, "reasoning", "<|im_end|><|im_start|>system", "special token"),
        (openai.UnprocessableEntityError, "reasoning", "so " * 20_000, "context length"),
    ):
        for stream in (False, True):
            with pytest.raises(kind) as refused:
                official.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": text}], stream=stream
                )
            assert words in refused.value.body["detail"]


def _endless(seed: int) -> dict:
    """Most seeds make the policy repeat itself for seconds: what was said before is made ever more likely."""
    return {
        "model": "reasoning",
        "messages": _question(),
        "seed": seed,
        "temperature": 2,
        "max_tokens": 2000,
        "frequency_penalty": -2,
        "presence_penalty": -2,
    }


def _await_running(scorer: DeploymentHandle, wanted: bool, seconds: float) -> float:
    began = time.monotonic()
    while (scorer.num_running.remote().result() > 0) != wanted:
        assert time.monotonic() - began < seconds, f"running is never {wanted}"
        time.sleep(0.02)
    return time.monotonic() - began


def test_a_client_that_goes_away_ends_the_generation(client: httpx.Client) -> None:
    scorer = serve.get_deployment_handle("ReasoningScorer", "iqa")
    assert scorer.num_running.remote().result() == 0
    num_tokens, seed = 0, 0
    while num_tokens < 1500:
        seed += 1
        assert seed < 30, "no seed makes a long answer"
        began = time.monotonic()
        reply = client.post("/v1/chat/completions", json=_endless(seed))
        num_tokens = reply.json()["usage"]["completion_tokens"]
        whole_s = time.monotonic() - began

    with client.stream("POST", "/v1/chat/completions", json={**_endless(seed), "stream": True}) as reply:
        lines = reply.iter_lines()  # kept: one that is thrown away closes the connection
        assert next(lines).startswith("data: ")
        _await_running(scorer, True, seconds=whole_s)
    assert _await_running(scorer, False, seconds=whole_s / 2) < whole_s / 2

    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", json=_endless(seed), timeout=whole_s / 8)
    assert _await_running(scorer, False, seconds=whole_s / 2) < whole_s / 2


def test_what_the_dashboard_charts_of_vllm_is_in_rays_exporter(client: httpx.Client) -> None:
    dashboard = (REPOSITORY / "configs" / "serve" / "grafana.json").read_text()
    hits = "ray_vllm_prefix_cache_hits_total"  # is there once a prompt has more tokens than a block
    charted = set(re.findall(r"\bray_vllm_\w+", dashboard)) - {hits}
    assert len(charted) > 4
    # A gauge that nobody sets is not exported again.
    await_exported(sorted(charted), between=lambda: _items(client, _files(2), model="reasoning"))
