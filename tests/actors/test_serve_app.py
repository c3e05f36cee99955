"""The real thing: Ray Serve with a small artifact, spoken to over HTTP."""

import asyncio
import base64
import io
import re
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import ray
import torch
from exported_metrics import POLL_S, await_exported, exported
from PIL import Image
from ray import serve
from ray.serve.config import ProxyLocation
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema
from slow_bodies import besiege, ingress_bytes

import ray_iqa
from ray_iqa.http.auth.keys import hash_of
from ray_iqa.rali.fit.small_clip import build_small_clip
from ray_iqa.rali.model.artifact import Artifact
from ray_iqa.rali.model.head import RaliHead
from ray_iqa.rali.scorer import RaliScorer

KEY = {"X-API-Key": "iqa_of-the-tests"}
REPOSITORY = Path(__file__).parents[2]
NOT_HERE = {
    "ray_serve_num_http_error_requests_total",  # is there once a request was refused
    "ray_ray_iqa_unreadable_answers_total",  # of a reasoning model
}
Files = list[tuple[str, tuple[str, bytes, str]]]


def save_artifact(folder: Path, seed: int) -> RaliScorer:
    clip = build_small_clip(folder / "clip", seed=seed)
    generator = torch.Generator().manual_seed(seed)
    head = RaliHead(64, 16, 20)
    head.load_state_dict(
        {
            "mean": torch.zeros(64),
            "scale": torch.ones(64),
            "components": torch.randn(16, 64, generator=generator),
            "temperature": torch.tensor(0.1),
            "vectors": torch.randn(20, 16, generator=generator),
            "scores": torch.linspace(1, 5, 20),
        }
    )
    scorer = RaliScorer(Artifact(encoder=clip.image, head=head, provenance={}))
    scorer.save(folder)
    return scorer


def _picture(seed: int) -> Image.Image:
    size = (60 + 7 * (seed % 20), 64)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def _files(*seeds: int) -> Files:
    files: Files = []
    for seed in seeds:
        buffer = io.BytesIO()
        _picture(seed).save(buffer, "PNG")
        files.append(("file", (f"{seed}.png", buffer.getvalue(), "image/png")))
    return files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def scorer(folder: Path) -> RaliScorer:
    (folder / "keys").write_text(f"{hash_of(KEY['X-API-Key'])} tests\n")
    save_artifact(folder / "new", seed=2)
    return save_artifact(folder / "first", seed=1)


@pytest.fixture(scope="module")
def url(joined_ray: None, folder: Path, scorer: RaliScorer) -> Iterator[str]:  # noqa: ARG001 - come first
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve.start(proxy_location=ProxyLocation.HeadOnly, http_options={"host": "127.0.0.1", "port": port})
    _deploy(folder / "first")
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()


def _deploy(artifact: Path) -> None:
    """What `serve deploy` does, with small queues; a second call changes what runs."""
    arguments = {
        "light": {"artifact": str(artifact.parent / "first"), "max_batch_pixels": 40_000},
        "access": {"keys_file": str(artifact.parent / "keys"), "requests_per_second": 10_000, "burst": 10_000},
    }
    light = {"max_ongoing_requests": 4, "max_queued_requests": 6, "user_config": {"artifact": str(artifact)}}
    limits = {"max_images": 30, "request_timeout_s": 300}
    application = {
        "name": "iqa",
        "import_path": "serve_app:build_app",
        "args": arguments,
        "deployments": [{"name": "LightScorer", **light}, {"name": "Ingress", "user_config": limits}],
    }
    _get_global_client().deploy_apps(ServeDeploySchema(applications=[application]), _blocking=True)


def test_scores_are_those_of_the_scorer_whatever_the_batch(url: str, scorer: RaliScorer) -> None:
    expected = [row.value for row in scorer.score([_picture(seed) for seed in range(24)])]
    with httpx.Client(base_url=url, headers=KEY, timeout=60) as client:
        alone = client.post("/v1/score", files=_files(0))
        together = client.post("/v1/score", files=_files(*range(24)))
        description = client.get("/openapi.json").json()
    assert alone.json()["data"][0]["value"] == pytest.approx(expected[0], abs=1e-4)
    assert [item["value"] for item in together.json()["data"]] == pytest.approx(expected, abs=1e-4)
    assert len(alone.headers.get_list("x-request-id")) == 1
    assert "/v1/score" in description["paths"]


def test_the_endpoint_is_a_scorer_of_python(url: str, scorer: RaliScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_IQA_KEY", KEY["X-API-Key"])
    loaded = ray_iqa.load(url)
    pictures = [_picture(1), _picture(2)]
    assert [verdict.value for verdict in loaded.score([*pictures, b"broken"])] == [
        *(pytest.approx(verdict.value, abs=1e-6) for verdict in scorer.score(pictures)),
        None,
    ]


def test_an_overload_is_refused_politely_and_passes(url: str) -> None:
    async def flood() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=100)
        async with httpx.AsyncClient(base_url=url, headers=KEY, timeout=60, limits=limits) as client:
            return await asyncio.gather(*(client.post("/v1/score", files=_files(seed)) for seed in range(100)))

    replies = asyncio.run(flood())
    statuses = {reply.status_code for reply in replies}
    assert statuses == {200, 503}
    assert sum(reply.status_code == 200 for reply in replies) > 5
    assert all("retry-after" in reply.headers for reply in replies if reply.status_code == 503)
    assert httpx.post(f"{url}/v1/score", headers=KEY, files=_files(1), timeout=60).status_code == 200


def test_the_proxy_refuses_for_a_full_service_and_all_it_took_are_answered(url: str) -> None:
    async def run() -> None:
        async with httpx.AsyncClient(base_url=url, headers=KEY, timeout=300) as client:
            await asyncio.sleep(1.0)  # whatever was refused before is forgotten
            slow = [SlowBody() for _ in range(12)]  # limits.max_pending_requests
            kind = {"Content-Type": "application/json"}
            replies = [client.post("/v1/score", content=body.parts(), headers=kind) for body in slow]
            taken = [asyncio.create_task(reply) for reply in replies]
            await asyncio.gather(*(body.begun.wait() for body in slow))
            await asyncio.sleep(1.0)  # none of them may come behind what follows
            counted = False
            while not counted:
                for _ in range(2):  # once the ingress has refused one, its proxy refuses by itself for half a second
                    refused = await client.post("/v1/score", files=_files(1))
                    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
                counted = _counted_by_a_proxy("busy")
                await asyncio.sleep(POLL_S)
            assert refused.json()["type"] == "urn:ray-iqa:problem:busy"
            assert refused.headers.get_list("x-request-id") == [refused.json()["instance"]]
            assert (await client.get("/livez")).status_code == 200
            for body, reply in zip(slow, taken, strict=True):
                body.rest.set()
                assert (await reply).status_code == 200

    asyncio.run(run())


@pytest.mark.parametrize(
    ("num_sockets", "pause_s", "seconds"), [(200, 1.0, 6.0), pytest.param(200, 0.0, 60.0, marks=pytest.mark.long)]
)
def test_bodies_without_a_key_stop_nobody_who_has_one(
    url: str, num_sockets: int, pause_s: float, seconds: float
) -> None:
    async def run() -> tuple[Counter[str], list[int]]:
        siege = asyncio.create_task(besiege(url, num_sockets, pause_s))
        await asyncio.sleep(1.0)
        statuses, until = [], time.monotonic() + seconds
        async with httpx.AsyncClient(base_url=url, headers=KEY, timeout=60) as client:
            while time.monotonic() < until:
                statuses.append((await client.post("/v1/score", files=_files(1))).status_code)
                await asyncio.sleep(0.1)
        siege.cancel()
        return await siege, statuses

    before = ingress_bytes()
    answers, statuses = asyncio.run(run())
    grown = ingress_bytes() - before
    assert set(statuses) == {200}
    assert len(statuses) > 3
    assert set(answers) == {"401 Unauthorized"}
    assert answers.total() >= num_sockets
    assert grown <= 20_000_000


class SlowBody:
    """One picture as JSON, held back after the first few bytes."""

    def __init__(self) -> None:
        self.begun, self.rest = asyncio.Event(), asyncio.Event()

    async def parts(self) -> AsyncIterator[bytes]:
        yield b'{"images": ['
        self.begun.set()
        await self.rest.wait()
        yield f'"{base64.b64encode(_files(3)[0][1][1]).decode()}"]}}'.encode()


def _counted_by_a_proxy(problem: str) -> bool:
    refusals = [line for line in exported().splitlines() if line.startswith("ray_ray_iqa_refusals_total{")]
    return any(f'problem="{problem}"' in line and not re.search('replica="[^"]', line) for line in refusals)


def test_a_killed_replica_loses_no_accepted_request(url: str) -> None:
    async def load() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=url, headers=KEY, timeout=60) as client:

            async def keep_asking(first: int) -> list[httpx.Response]:
                return [await client.post("/v1/score", files=_files(first + seed)) for seed in range(12)]

            work = [asyncio.create_task(keep_asking(100 * worker)) for worker in range(4)]
            await asyncio.sleep(0.3)
            _kill_light_replica()
            return [reply for replies in await asyncio.gather(*work) for reply in replies]

    replies = asyncio.run(load())
    assert {reply.status_code for reply in replies} == {200}
    assert {reply.json()["data"][0]["status"] for reply in replies} == {"ok"}


def test_user_config_swaps_the_model_without_a_restart(url: str, folder: Path) -> None:
    before = httpx.get(f"{url}/v1/models", headers=KEY, timeout=60).json()["data"][0]["revision"]
    replicas = _light_replicas()
    _deploy(folder / "new")
    deadline = time.monotonic() + 300
    while (after := httpx.get(f"{url}/v1/models", headers=KEY, timeout=60).json()["data"][0]["revision"]) == before:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    expected = RaliScorer.load(folder / "new").score([_picture(5)])[0].value
    item = httpx.post(f"{url}/v1/score", headers=KEY, files=_files(5), timeout=60).json()["data"][0]
    assert (item["value"], item["revision"]) == (pytest.approx(expected, abs=1e-4), after)
    assert _light_replicas() == replicas


def test_prometheus_gets_what_the_dashboard_charts_from_rays_exporter(url: str) -> None:
    httpx.post(f"{url}/v1/score", headers=KEY, files=[*_files(1), ("file", ("x", b"broken", "image/png"))], timeout=60)
    httpx.post(f"{url}/v1/score", headers=KEY, json={"images": ["https://example.org/a.jpg"]}, timeout=60)
    dashboard = (REPOSITORY / "configs" / "serve" / "grafana.json").read_text()
    charted = set(re.findall(r"\b(?:ray_ray_iqa|ray_serve)_\w+", dashboard)) - NOT_HERE
    assert len(charted) > 8
    wanted = [*charted, 'status="failed"', 'problem="url-fetching-off"', "ray_ray_iqa_score_bucket{"]
    await_exported(wanted)


def _kill_light_replica() -> None:
    for name, namespace in _light_replicas():
        ray.kill(ray.get_actor(name, namespace=namespace))


def _light_replicas() -> list[tuple[str, str]]:
    actors = ray.util.list_named_actors(all_namespaces=True)
    return [(actor["name"], actor["namespace"]) for actor in actors if "LightScorer" in actor["name"]]
