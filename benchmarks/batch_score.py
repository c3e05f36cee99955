"""A killed and resumed `ray-iqa batch-score` of very many tiny pictures, beside a plain loop with the same scorer.

    python benchmarks/batch_score.py [--images 100000] [--loop-images 20000]

A scorer of the demonstration's size with random weights, PNG files of 32 x 32 made on the spot. The job is killed
(SIGKILL) once a fifth of the pictures are done, and started again with the same command. Every picture must have
exactly one row. The rate of the second job, start-up apart, must reach 0.8 of the loop's in the same run. The loop
has as many threads as torch takes by itself; the job runs as `configs/rali/batch_score.yaml` is shipped.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image

from ray_iqa.config.jobs.batch_score import BatchScoreConfig
from ray_iqa.config.load import load_config
from ray_iqa.rali.fit.basis import no_projection
from ray_iqa.rali.fit.small_clip import build_small_clip
from ray_iqa.rali.model.artifact import Artifact
from ray_iqa.rali.model.head import RaliHead, ScoreBasis
from ray_iqa.rali.scorer import RaliScorer

TARGET = 0.8
BATCH_SIZE = load_config(BatchScoreConfig, "configs/rali/batch_score.yaml", []).pipeline.batch_size
FILES_PER_FOLDER = 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--loop-images", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        files = write_pictures(home / "pictures", arguments.images)
        write_scorer(home)
        loop_rate = plain_loop(home / "scorer", files[: arguments.loop_images])
        print(f"plain loop   {loop_rate:8.1f} images/s, {torch.get_num_threads()} threads", flush=True)
        kill_job(home, at_least=arguments.images // 5)
        num_before = len(scored(home))
        subprocess.run(command(home), check=True, capture_output=True)
        (job,) = json.loads((home / "run" / "run.json").read_text())["jobs"]
        rows = scored(home)
        exact = sorted(rows) == sorted(map(str, files))
    rate = job["images_per_second"]
    print(f"batch-score  {rate:8.1f} images/s, start-up and first file {job['start_up_seconds']:.1f} s")
    print(f"killed with {num_before:,} rows; resumed: {len(rows):,} rows of {len(files):,} pictures")
    print(f"| one row per picture, killed and resumed | {'yes' if exact else 'NO'} |")
    ratio = rate / loop_rate
    print(f"| batch-score / plain loop | {ratio:.3f} ({'meets' if ratio >= TARGET else 'MISSES'} {TARGET}) |")


def write_pictures(home: Path, count: int) -> list[Path]:
    """Noise over a gradient, no two alike."""
    rng = np.random.default_rng(0)
    files = []
    for number in range(count):
        folder = home / f"{number // FILES_PER_FOLDER:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        files.append(folder / f"{number:06d}.png")
        Image.fromarray(pixels).save(files[-1], compress_level=1)
    return files


def write_scorer(home: Path) -> None:
    """As large as the demonstration's, random weights."""
    rng = np.random.default_rng(0)
    vectors, scores = rng.normal(size=(250, 64)).astype(np.float32), rng.uniform(1, 5, 250).astype(np.float32)
    head = RaliHead.from_parts(no_projection(64), ScoreBasis(vectors=vectors, scores=scores), temperature=0.07)
    encoder = build_small_clip(home / "clip").image
    RaliScorer(Artifact(encoder=encoder, head=head, provenance={})).save(home / "scorer")


def plain_loop(scorer_folder: Path, files: list[Path]) -> float:
    """Images per second of the scorer alone, its first batch apart."""
    scorer = RaliScorer.load(scorer_folder)
    scorer.score(files[:64])
    began = time.perf_counter()
    scorer.score(files)
    return len(files) / (time.perf_counter() - began)


def command(home: Path) -> list[str]:
    """The same for both jobs."""
    settings = [
        f"run_dir={home / 'run'}",
        f"model={home / 'scorer'}",
        f"images.sources={json.dumps([str(home / 'pictures')])}",
    ]
    return [sys.executable, "-m", "actors", "batch-score", "--config", "configs/rali/batch_score.yaml", *settings]


def kill_job(home: Path, at_least: int) -> None:
    """Start a job and kill its driver once ``at_least`` pictures are done."""
    job = subprocess.Popen(command(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list((home / "run" / "scores").glob("part-*"))) * BATCH_SIZE < at_least:
        if job.poll() is not None:
            sys.exit("the job ended before it was killed")
        time.sleep(0.05)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    time.sleep(10)  # its workers notice


def scored(home: Path) -> list[str]:
    """Paths of all rows."""
    found: list[str] = []
    for file in sorted((home / "run" / "scores").glob("part-*")):
        with pq.ParquetFile(file) as stream:
            found += stream.read(columns=["image_path"]).column("image_path").to_pylist()
    return found


if __name__ == "__main__":
    main()
