"""Time of the fidelity reward for one large step, beside the published trainer's loop and a better one.

    python benchmarks/reward.py

The published trainer goes through the completions and, for each, through the other images, with a handful of torch
operations on single numbers per pair; re-implemented here from its description. It would take minutes for the whole
step, so a few completions of different images are timed, each against all other images: every completion costs the
same. The second loop goes through images and other images and computes K values at a time with numpy. All run on one
thread, in the same process, on the same scores, and must agree.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from table import report

from ray_iqa.rewards.comparability import comparable
from ray_iqa.rewards.fidelity import fidelity_rewards

FLOOR = 1e-6


def published_loop(scores: NDArray[np.float64], mos: NDArray[np.float64], images: Sequence[int]) -> NDArray[np.float64]:
    """Reward [n] of the first completion of each of n ``images``, one other image at a time, in float32."""
    predicted, labels = torch.tensor(scores, dtype=torch.float32), torch.tensor(mos, dtype=torch.float32)
    means, variances = predicted.mean(dim=1), predicted.var(dim=1)
    rewards = []
    for i in images:
        total = torch.tensor(0.0)
        for j in range(len(scores)):
            if i == j:
                continue
            gap = (predicted[i, 0] - means[j]) / torch.sqrt(variances[i] + variances[j] + FLOOR)
            better = torch.distributions.Normal(0, 1).cdf(gap)
            human = 1.0 if labels[i] > labels[j] else 0.0 if labels[i] < labels[j] else 0.5
            total += torch.sqrt(human * better + FLOOR) + torch.sqrt((1 - human) * (1 - better) + FLOOR)
        rewards.append(total / (len(scores) - 1))
    return torch.stack(rewards).numpy()


def double_loop(scores: NDArray[np.float64], mos: NDArray[np.float64], pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rewards [B, K] of scores [B, K], one pair of images at a time."""
    means, variances = scores.mean(axis=1), scores.var(axis=1, ddof=1)
    rewards = np.zeros_like(scores)
    for i in range(len(scores)):
        num_opponents = 0
        for j in range(len(scores)):
            if not pairs[i, j]:
                continue
            predicted = ndtr((scores[i] - means[j]) / np.sqrt(variances[i] + variances[j] + FLOOR))
            human = 1.0 if mos[i] > mos[j] else 0.0 if mos[i] < mos[j] else 0.5
            rewards[i] += np.sqrt(human * predicted + FLOOR) + np.sqrt((1 - human) * (1 - predicted) + FLOOR)
            num_opponents += 1
        rewards[i] /= num_opponents
    return rewards


def median_ms(call: Callable[[], NDArray[np.float64]], repeats: int) -> float:
    """Median wall time of ``repeats`` calls, after one that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def main() -> None:
    """Check that all agree, time them, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--scores", type=int, default=8, help="per image")
    parser.add_argument("--timed", type=int, default=8, help="completions timed in the published loop")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    rng = np.random.default_rng(0)
    mos = rng.uniform(1, 5, arguments.images).round(2)
    noise = rng.normal(scale=0.5, size=(arguments.images, arguments.scores))
    scores = np.clip(mos[:, None] + noise, 1, 5).round(2)
    pairs = comparable(["one"] * arguments.images, None)
    some = np.linspace(0, arguments.images - 1, arguments.timed).astype(int).tolist()

    ours = fidelity_rewards(scores, mos, pairs)
    check("double loop", np.abs(ours - double_loop(scores, mos, pairs)).max(), 1e-9)
    check("published loop", np.abs(ours[some, 0] - published_loop(scores, mos, some)).max(), 1e-4)
    vectorised = median_ms(lambda: fidelity_rewards(scores, mos, pairs), arguments.repeats)
    loop = median_ms(lambda: double_loop(scores, mos, pairs), arguments.repeats)
    published = median_ms(lambda: published_loop(scores, mos, some), arguments.repeats)
    published *= scores.size / arguments.timed
    print(
        f"medians of {arguments.repeats} calls; the published loop from {arguments.timed} of {scores.size} completions"
    )
    size = f"{arguments.images:,} x {arguments.scores}"
    figures = f"{vectorised:.0f} ms / {published / 1000:,.0f} s; a double loop over images {loop / 1000:.1f} s"
    report(f"reward, {size}, against the published loop", published / vectorised, ">= 500", figures)
    datasets = comparable([str(i % 4) for i in range(arguments.images)], None)
    blocks = comparable(["one"] * arguments.images, 8)
    fewer = [median_ms(partial(fidelity_rewards, scores, mos, met), arguments.repeats) for met in (datasets, blocks)]
    print("vectorised, the images in 4 datasets: {:.0f} ms; in blocks of 8: {:.0f} ms".format(*fewer))


def check(name: str, difference: float, limit: float) -> None:
    """End here if two sides compute different rewards."""
    if not difference < limit:
        raise SystemExit(f"the {name} must agree with ours to {limit:.0e}, largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
