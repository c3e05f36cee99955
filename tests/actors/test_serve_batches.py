"""`POST /v1/batches` for real: the endpoint submits a Ray job, which scores a folder with Ray Data."""

import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow.dataset
import pytest
import ray
from PIL import Image
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.config import ProxyLocation
from test_serve_app import save_artifact

from ray_iqa.config.serve import ServeConfig
from ray_iqa.http.auth.keys import hash_of
from ray_iqa.rali.scorer import RaliScorer
from serve_app import build_app

KEYS = {"ours": "iqa_ours", "theirs": "iqa_theirs"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("batches")
    save_artifact(home / "artifact", seed=1)
    (home / "inputs" / "holiday").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(0, 256, (64, 60 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(home / "inputs" / "holiday" / f"{number}.png")
    (home / "inputs" / "holiday" / "torn.png").write_bytes(b"\x89PNG")
    (home / "inputs" / "out").symlink_to("/etc")
    (home / "keys").write_text("".join(f"{hash_of(key)} {name}\n" for name, key in KEYS.items()))
    return home


@pytest.fixture(scope="module")
def url(folder: Path, monkeypatch_module: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch_module.setenv("RAY_raylet_start_wait_time_s", "120")
    # Ports of its own: a second cluster of the machine finds the usual one of its agent, which takes jobs, in use.
    head = {"num_cpus": 4, "include_dashboard": True, "dashboard_port": _free_port()}
    cluster = Cluster(initialize_head=True, head_node_args={**head, "dashboard_agent_listen_port": _free_port()})
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    port = _free_port()
    serve.start(proxy_location=ProxyLocation.HeadOnly, http_options={"host": "127.0.0.1", "port": port})
    arguments = {
        "light": {"artifact": str(folder / "artifact")},
        "batches": {"inputs": str(folder / "inputs"), "outputs": str(folder / "outputs")},
        "access": {"keys_file": str(folder / "keys"), "requests_per_second": 1000, "burst": 1000},
    }
    serve.run(build_app(ServeConfig.model_validate(arguments)), name="iqa")
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_a_folder_is_scored_by_a_job_of_the_cluster(url: str, folder: Path) -> None:
    with httpx.Client(base_url=url, headers={"X-API-Key": KEYS["ours"]}, timeout=60) as client:
        for path in ("nothing", "out", "out/ssh"):
            assert client.post("/v1/batches", json={"input": path}).status_code == 404, path
        deadline = time.monotonic() + 240
        while (started := client.post("/v1/batches", json={"input": "holiday"})).status_code == 503:
            assert time.monotonic() < deadline  # a new cluster's job server takes a while to come up
            time.sleep(float(started.headers["Retry-After"]))
        assert started.status_code == 202, started.text
        batch = started.json()
        deadline = time.monotonic() + 300
        while batch["status"] in ("queued", "in_progress"):
            assert time.monotonic() < deadline, batch
            time.sleep(0.5)
            batch = client.get(f"/v1/batches/{batch['id']}").json()
        assert (batch["status"], batch["input"]) == ("completed", "holiday"), batch["detail"]
        stranger = client.get(f"/v1/batches/{batch['id']}", headers={"X-API-Key": KEYS["theirs"]})
        assert stranger.status_code == 404
        assert client.get(f"/v1/batches/batch-{'0' * 32}").status_code == 404
    rows = pyarrow.dataset.dataset(folder / "outputs" / batch["output"] / "scores").to_table().to_pylist()
    scores = {Path(row["image_path"]).name: row["score"] for row in rows}
    expected = RaliScorer.load(folder / "artifact").score(
        [folder / "inputs" / "holiday" / f"{n}.png" for n in range(6)]
    )
    assert [scores[f"{number}.png"] for number in range(6)] == pytest.approx([row.value for row in expected], abs=1e-4)
    assert scores["torn.png"] is None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
