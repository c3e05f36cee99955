"""What fewer bits, another memory layout and compilation are worth to the light scorer, and what they cost in SRCC.

    make demo && .venv/bin/python benchmarks/rali_precision.py [--scorer runs/demo/fit/scorer] [--demo runs/demo/data]

Speed: the bare tower of ViT-B/32 with random weights on ready tensors, all variants by turns, median repeat; `ray-iqa
score --precision` takes fp32, bf16 and int8. SRCC: a fitted scorer on the test pictures of the demo's data sets.
"""

import argparse
import copy
import time
from pathlib import Path
from statistics import median
from typing import get_args

import numpy as np
import torch
from rali_throughput import random_scorer, run_tower
from torch import nn

from ray_iqa.answers.verdict import Verdict
from ray_iqa.config.precision import Precision
from ray_iqa.evaluation.validation import evaluate_verdicts
from ray_iqa.rali.model.precision import in_precision
from ray_iqa.rali.scorer import RaliScorer
from ray_iqa.runs.preflight import load_images


def main() -> None:
    """Measure and print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scorer", default="runs/demo/fit/scorer")
    parser.add_argument("--demo", default="runs/demo/data")
    parser.add_argument("--images", type=int, default=16, help="per repeat, one batch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    print_speeds(arguments.images, arguments.repeats, arguments.device)
    print_srcc(arguments.scorer, arguments.demo, arguments.device)


def print_speeds(count: int, repeats: int, device: str) -> None:
    """Images per second of each variant of the tower."""
    plain = random_scorer(device).artifact.encoder.tower
    first = copy.deepcopy(plain).to(memory_format=torch.contiguous_format)
    pixels = torch.rand(count, 3, 224, 224, device=device).to(memory_format=torch.channels_last)
    precisions = [name for name in get_args(Precision) if name != "int8" or device == "cpu"]
    variants: dict[str, tuple[nn.Module, torch.Tensor]] = {
        name: (in_precision(plain, name, device), pixels.bfloat16() if name == "bf16" else pixels)
        for name in precisions
    }
    variants["fp32, channels first"] = (first, pixels.contiguous())
    fastest = "bf16" if device.startswith("cuda") else "fp32"
    tower, batch = variants[fastest]
    variants[f"{fastest}, compiled"] = (torch.compile(copy.deepcopy(tower)), batch)
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for name, (tower, batch) in variants.items():
        print(f"first call, {name}: {_timed(tower, batch, device):.1f} s")
    for _ in range(repeats):
        for name, (tower, batch) in variants.items():
            seconds[name].append(_timed(tower, batch, device))
    print(f"{torch.get_num_threads()} threads, device {device}\n| ViT-B/32 | images/s | of fp32 |\n|---|---|---|")
    for name, own in seconds.items():
        print(f"| {name} | {count / median(own):.1f} | {median(seconds['fp32']) / median(own):.2f}x |")


def print_srcc(folder: str, demo: str, device: str) -> None:
    """SRCC of each precision, the mean over the data sets, and how far single scores move."""
    test = load_images([str(path) for path in sorted(Path(demo).glob("*/manifest.csv"))], "test")
    print(f"{len(test)} test pictures, {folder}")
    print("| precision | SRCC | change | largest change of a score |\n|---|---|---|---|")
    exact = _scores(folder, device, "fp32", [image.image_path for image in test])
    srcc_of = {}
    for precision in get_args(Precision):
        if precision == "int8" and device != "cpu":
            continue
        scores = _scores(folder, device, precision, [image.image_path for image in test])
        srcc_of[precision] = float(
            np.mean([report.srcc for report in evaluate_verdicts(test, [Verdict(value=score) for score in scores])])
        )
        change, moved = srcc_of[precision] - srcc_of["fp32"], np.abs(np.subtract(scores, exact)).max()
        print(f"| {precision} | {srcc_of[precision]:.4f} | {change:+.4f} | {moved:.4f} |")


def _scores(folder: str, device: str, precision: Precision, paths: list[str]) -> list[float | None]:
    return [row.value for row in RaliScorer.load(folder, device, precision).score(paths)]


def _timed(tower: nn.Module, batch: torch.Tensor, device: str) -> float:
    began = time.perf_counter()
    run_tower(tower, batch, len(batch))
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
