"""Throughput of `ray-iqa batch-score` beside a plain loop with the same scorer; start-up reported apart.

    python benchmarks/rali_ray_data.py [--images 2000] [--batch-size 64]

ViT-B/32 with random weights, JPEG files of 512 x 384 made on the spot. The loop and each of the job's scorers have one
thread; the job has one scorer, and decodes beside it. It must reach 0.8 of the loop.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from rali_throughput import random_scorer, write_pictures

from ray_iqa.rali.scorer import RaliScorer

TARGET = 0.8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--batch-size", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "pictures").mkdir()
        files = write_pictures(home / "pictures", arguments.images)
        random_scorer("cpu").save(home / "scorer")
        scorer = RaliScorer.load(home / "scorer")
        scorer.score(files[: arguments.batch_size])
        began = time.perf_counter()
        scorer.score(files, arguments.batch_size)
        loop = time.perf_counter() - began
        start_up, streaming = run_job(home, arguments.batch_size)
    # The job's clock runs from its first file of scores, whose pictures are then done.
    rate, job_rate = arguments.images / loop, (arguments.images - arguments.batch_size) / streaming
    print(f"plain loop   {rate:8.1f} images/s")
    print(f"batch-score  {job_rate:8.1f} images/s, start-up and first batch {start_up:.1f} s")
    ratio = job_rate / rate
    print(f"| batch-score / plain loop | {ratio:.3f} ({'meets' if ratio >= TARGET else 'MISSES'} {TARGET}) |")


def run_job(home: Path, batch_size: int) -> tuple[float, float]:
    """Seconds to the first file of scores, and from there to the last."""
    settings = [
        f"run_dir={home / 'run'}",
        f"model={home / 'scorer'}",
        f"images.sources={json.dumps([str(home / 'pictures')])}",
        f"pipeline.batch_size={batch_size}",
        "pipeline.max_scorers=1",
        "pipeline.num_threads=1",
    ]
    job = [sys.executable, "-m", "actors", "batch-score", "--config", "configs/rali/batch_score.yaml", *settings]
    began = time.time()
    subprocess.run(job, check=True, capture_output=True)
    written = sorted(file.stat().st_mtime for file in (home / "run" / "scores").glob("part-*"))
    return written[0] - began, written[-1] - written[0]


if __name__ == "__main__":
    main()
