"""What orchestration costs: wall time of a step against its three parts measured where they run.

The parts are the slowest worker's sampling (in its process), the learner's update (in rank 0) and the weight
publish. Everything else, Ray's calls, the reward actor, telemetry, is overhead.

    make demo && .venv/bin/python benchmarks/step_time.py runs/demo/run
"""

import json
import sys
from pathlib import Path

import numpy as np
from table import report


def main() -> None:
    """Print the ratio over all steps of one run, evaluation and checkpoints left out."""
    run = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo/run")
    file = run / "metrics.jsonl"
    if not file.is_file():
        sys.exit(f"step_time: run `make demo` first, or name a run directory; there is no {file}")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows = [row for row in rows if row["step"] > 0]  # step 0 is the validation before the first one
    parts = np.array([_parts(row) for row in rows])  # [steps, 3]
    apart = ("time/evaluate", "time/export", "time/checkpoint")  # periodic, and no part of a step
    wall = np.array([row["time/step"] - sum(row.get(name, 0.0) for name in apart) for row in rows])
    names = ("sampling", "update", "publish")
    shares = ", ".join(f"{name} {part:.3f} s" for name, part in zip(names, np.median(parts, axis=0), strict=True))
    ratios = wall / parts.sum(axis=1)
    figures = (
        f"{len(rows)} steps, medians: wall {np.median(wall):.3f} s; {shares}; total {wall.sum() / parts.sum():.3f}"
    )
    report("step of the demonstration, against the sum of its slowest parts", np.median(ratios), "<= 1.1", figures)


def _parts(row: dict[str, float]) -> tuple[float, float, float]:
    publish = row["publish/pack_seconds"] + row["publish/install_seconds"]
    return row["rollout/worker_seconds"], row["learner/seconds"], publish


if __name__ == "__main__":
    main()
