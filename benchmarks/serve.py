"""The light scorer over HTTP beside the bare scorer on the same cores: throughput, latency, overload, a lost replica.

    python benchmarks/serve.py [--seconds 30] [--cores 2] [--replicas 1]

ViT-B/32 with random weights (cost does not depend on them), eight JPEG files of 512 x 384 per request, all processes on
one machine, queues and limits as they are shipped. Prints processor seconds of client, proxy, ingress and scorer beside
each throughput: what client and proxy take is missing to the scorer, so the ratio is also given per processor second of
everything else.
"""

import argparse
import asyncio
import logging
import os
import resource
import socket
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import ray
import torch
from rali_throughput import random_scorer, write_pictures
from ray import serve
from ray.serve.config import ProxyLocation
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

PER_REQUEST = 8
CONCURRENCY = 6  # enough that the scorer never waits for a request
THROUGHPUT, GOODPUT = 0.8, 0.8
Files = list[tuple[str, tuple[str, bytes, str]]]


@dataclass
class Load:
    """What one load found."""

    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)  # of answered requests, s
    cpu: dict[str, float] = field(default_factory=dict)  # seconds by role

    @property
    def images_per_s(self) -> float:
        """Scored pictures."""
        return self.statuses["200"] * PER_REQUEST / self.seconds

    @property
    def around(self) -> float:
        """Share of client and proxy in the processor time used; on a service's own machines they are not there."""
        return (self.cpu["client"] + self.cpu["proxy"]) / sum(self.cpu.values())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each load")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--replicas", type=int, default=1, help="of the scorer; they share the cores")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        paths = write_pictures(home, PER_REQUEST * 8)
        (home / "artifact").mkdir()
        random_scorer("cpu").save(home / "artifact")
        contents = [path.read_bytes() for path in paths]
        batches = [_files(contents[start : start + PER_REQUEST]) for start in range(0, len(contents), PER_REQUEST)]
        bare_rate, bare_p50 = measure_bare(paths, arguments.cores, arguments.seconds)
        url = start_service(home / "artifact", arguments.cores, arguments.replicas)
        asyncio.run(measure_http(url, batches, bare_rate, bare_p50, arguments.seconds))
        serve.shutdown()
        ray.shutdown()


def measure_bare(paths: list[Path], cores: int, seconds: float) -> tuple[float, float]:
    """Images per second of the scorer alone, at its best batch size, and its p50 on one request's files."""
    torch.set_num_threads(cores)
    scorer = random_scorer("cpu")
    scorer.score(paths, PER_REQUEST)
    rates = {}
    for batch_size in (PER_REQUEST, 4 * PER_REQUEST):
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds / 3:
            scorer.score(paths, batch_size)
            count += len(paths)
        rates[batch_size] = count / (time.perf_counter() - began)
    calls = []
    while sum(calls) < seconds / 3:
        began = time.perf_counter()
        scorer.score(paths[:PER_REQUEST], PER_REQUEST)
        calls.append(time.perf_counter() - began)
    best, p50 = max(rates.values()), statistics.median(calls)
    print(f"{cores} cores; bare scorer: {best:.1f} images/s (batches of {max(rates, key=rates.__getitem__)})")
    print(f"bare call with {PER_REQUEST} files: p50 {1000 * p50:.0f} ms")
    return best, p50


def start_service(artifact: Path, cores: int, replicas: int) -> str:
    """`serve deploy` of the light scorer on a cluster of its own, with the environment of the images."""
    os.environ["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] = "actors.serve_proxy:middlewares"
    ray.init(
        address="local", num_cpus=2 * cores, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve.start(proxy_location=ProxyLocation.HeadOnly, http_options={"host": "127.0.0.1", "port": port})
    threads = {"num_cpus": cores / replicas, "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(cores // replicas)}}}
    application = {
        "import_path": "serve_app:build_app",
        "args": {
            "light": {"artifact": str(artifact)},
            "access": {"no_auth": True, "requests_per_second": 1e6, "burst": 1_000_000},
        },
        "deployments": [{"name": "LightScorer", "num_replicas": replicas, "ray_actor_options": threads}],
    }
    _get_global_client().deploy_apps(ServeDeploySchema(applications=[application]), _blocking=True)
    return f"http://127.0.0.1:{port}"


async def measure_http(url: str, batches: list[Files], bare_rate: float, bare_p50: float, seconds: float) -> None:
    """All loads, one after another."""
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=httpx.Limits(max_connections=400)) as client:

        async def ask(number: int) -> tuple[str, float]:
            began = time.perf_counter()
            reply = await client.post("/v1/score", files=batches[number % len(batches)])
            return str(reply.status_code), time.perf_counter() - began

        await under_load(closed_loop(ask, CONCURRENCY), 5.0)  # warm up
        single = await under_load(closed_loop(ask, 1), seconds / 2)
        p50 = statistics.median(single.latencies)
        print(f"HTTP, concurrency 1: p50 {1000 * p50:.0f} ms, overhead {1000 * (p50 - bare_p50):+.0f} ms a request")

        peak = await under_load(closed_loop(ask, CONCURRENCY), seconds)
        report(f"HTTP at saturation (concurrency {CONCURRENCY})", peak)
        ratio = peak.images_per_s / bare_rate
        print(f"  HTTP / bare {ratio:.2f} ({'meets' if ratio >= THROUGHPUT else 'MISSES'} {THROUGHPUT})")
        tell_around(peak, ratio / (1 - peak.around))

        rate = 10 * peak.images_per_s / PER_REQUEST
        flood = await under_load(open_loop(ask, rate), seconds)
        report(f"10 x overload ({rate:.0f} requests/s offered)", flood)
        held = flood.images_per_s / peak.images_per_s
        print(f"  goodput / peak {held:.2f} ({'meets' if held >= GOODPUT else 'MISSES'} {GOODPUT})")
        tell_around(flood, held * (1 - peak.around) / (1 - flood.around))

        asyncio.get_running_loop().call_later(seconds / 4, kill_scorer)
        report(
            f"a replica killed under load (concurrency {CONCURRENCY})",
            await under_load(closed_loop(ask, CONCURRENCY), seconds),
        )


def tell_around(load: Load, without: float) -> None:
    """What a ratio would be if client and proxy had cores of their own."""
    print(f"  client and proxy take {load.around:.0%} of the processor time; without it {without:.2f}")


Ask = Callable[[int], Awaitable[tuple[str, float]]]


def closed_loop(ask: Ask, concurrency: int) -> Callable[[Load, float], Awaitable[None]]:
    """Each of so many askers waits for its answer before it asks again."""

    async def run(load: Load, seconds: float) -> None:
        began = time.perf_counter()

        async def keep_asking(number: int) -> None:
            while time.perf_counter() - began < seconds:
                note(load, *await ask(number))
                number += concurrency

        await asyncio.gather(*(keep_asking(number) for number in range(concurrency)))

    return run


def open_loop(ask: Ask, per_second: float) -> Callable[[Load, float], Awaitable[None]]:
    """Requests come at their rate, whatever happens to those before."""

    async def run(load: Load, seconds: float) -> None:
        async def once(number: int) -> None:
            note(load, *await ask(number))

        began, tasks = time.perf_counter(), []
        for number in range(int(seconds * per_second)):
            await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            tasks.append(asyncio.create_task(once(number)))
        await asyncio.gather(*tasks)

    return run


def note(load: Load, status: str, latency: float) -> None:
    """Keep one answer."""
    load.statuses[status] += 1
    if status == "200":
        load.latencies.append(latency)


async def under_load(run: Callable[[Load, float], Awaitable[None]], seconds: float) -> Load:
    """Run a load and see what it takes."""
    load, before, began = Load(), cpu_seconds(), time.perf_counter()
    await run(load, seconds)
    load.seconds = time.perf_counter() - began
    load.cpu = {role: max(0.0, spent - before.get(role, 0.0)) for role, spent in cpu_seconds().items()}
    return load


def cpu_seconds() -> dict[str, float]:
    """Processor seconds so far, by role."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    spent = Counter({"client": own.ru_utime + own.ru_stime, "proxy": 0.0, "ingress": 0.0, "scorer": 0.0, "other": 0.0})
    for process in psutil.Process().children(recursive=True):
        try:
            line, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.Error:
            continue
        roles = {"ProxyActor": "proxy", "Ingress": "ingress", "LightScorer": "scorer", "http.decoder": "scorer"}
        role = next((role for name, role in roles.items() if name in line), "other")
        spent[role] += times.user + times.system
    return dict(spent)


def report(name: str, load: Load) -> None:
    """Print a load."""
    latencies = sorted(load.latencies)
    p50, p99 = latencies[len(latencies) // 2], latencies[int(0.99 * len(latencies))]
    print(f"{name}: {load.images_per_s:.1f} images/s, answers {dict(load.statuses)}")
    print(f"  answered requests: p50 {p50:.2f} s, p99 {p99:.2f} s, slowest {latencies[-1]:.2f} s")
    print("  processor seconds: " + ", ".join(f"{role} {spent:.1f}" for role, spent in load.cpu.items()))


def kill_scorer() -> None:
    """End one replica of the scorer without notice."""
    actors = ray.util.list_named_actors(all_namespaces=True)
    name = next(actor for actor in actors if "LightScorer" in actor["name"])
    ray.kill(ray.get_actor(name["name"], namespace=name["namespace"]))


def _files(contents: list[bytes]) -> Files:
    return [("file", (f"{place}.jpg", content, "image/jpeg")) for place, content in enumerate(contents)]


if __name__ == "__main__":
    main()
