"""How often intervals hold the truth and tests cry wolf, by simulation; the table of docs/statistics.md.

`python tests/statistics/test_coverage.py` prints the table.
"""

import sys

import numpy as np
import pytest
from scipy.stats import pearsonr, rankdata

from ray_iqa.statistics.correlation import rowwise_pearson
from ray_iqa.statistics.groupwise import groupwise
from ray_iqa.statistics.intervals import correlation_interval, paired_srcc_difference
from ray_iqa.statistics.jackknife import FEWEST_CONTENTS
from ray_iqa.statistics.mapping import fit_mapping
from ray_iqa.statistics.mapping_band import mapping_band
from ray_iqa.statistics.significance import compare_variances

NUM_CONTENTS = (5, 8, 12, 16, 20, 30, 65)
NUM_VERSIONS = 20  # on average
Draw = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

# Spreads over contents of quality, log sensitivity, a scorer's bias and its log noise; then that noise.
WORLDS = {
    "mild": (0.5, 0.25, 0.6, 0.3, 0.6),
    "hard": (0.8, 0.4, 1.0, 0.3, 0.5),
    "weak": (0.6, 0.4, 1.0, 0.3, 2.5),
}


def draw(world: str, num_contents: int, rng: np.random.Generator, num_versions: int | None = None) -> Draw:
    """Labels, two equally good scorers, and the content of each version: distortions of five kinds and strengths."""
    shift, sensitivity, bias, unrest, noise = WORLDS[world]
    sizes = (
        np.full(num_contents, num_versions)
        if num_versions
        else rng.integers(NUM_VERSIONS // 2, 3 * NUM_VERSIONS // 2 + 1, num_contents)
    )
    content = np.repeat(np.arange(num_contents), sizes)
    kind, level = rng.integers(5, size=len(content)), rng.integers(1, 6, size=len(content))
    strength = np.array([0.5, 0.6, 0.8, 1.0, 1.2])[kind] * level
    spread = np.exp(rng.normal(0, sensitivity, num_contents))[content]
    quality = 1.5 + rng.normal(0, shift, num_contents)[content] - 0.8 * strength * spread
    labels = 5 / (1 + np.exp(-quality)) + rng.normal(0, 0.1, len(content))

    def scorer() -> np.ndarray:
        wrong = rng.normal(0, bias, num_contents)[content] + rng.normal(0, bias, (num_contents, 5))[content, kind]
        restless = np.exp(rng.normal(0, unrest, num_contents))[content]
        return quality + wrong + noise * restless * rng.normal(size=len(content))

    return labels, scorer(), scorer(), content


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    return float(rowwise_pearson(x, y))


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    return pearson(rankdata(x), rankdata(y))


def per_content(x: np.ndarray, y: np.ndarray, content: np.ndarray) -> np.ndarray:
    return np.array([spearman(x[content == c], y[content == c]) for c in range(content.max() + 1)])


def truth(world: str) -> dict[str, float]:
    labels, scores, _, content = draw(world, 20_000, np.random.default_rng(0))
    few = content < 4000
    return {
        "SRCC": spearman(scores, labels),
        "PLCC": pearson(scores, labels),
        "mean": float(per_content(scores[few], labels[few], content[few]).mean()),
    }


def before(
    first: np.ndarray,
    second: np.ndarray,
    labels: np.ndarray,
    content: np.ndarray,
    residuals: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
    known: dict[str, float],
) -> dict[str, float]:
    """The same counts for percentiles of contents drawn with replacement, and for Pitman and Morgan's test."""
    members = np.split(np.arange(len(labels)), np.flatnonzero(np.diff(content)) + 1)
    drawn = [np.concatenate([members[c] for c in rng.integers(len(members), size=len(members))]) for _ in range(200)]
    each = per_content(first, labels, content)
    values = {
        "SRCC": [spearman(first[rows], labels[rows]) for rows in drawn],
        "PLCC": [pearson(first[rows], labels[rows]) for rows in drawn],
        "mean": [each[rng.integers(len(each), size=len(each))].mean() for _ in range(1000)],
    }
    gaps = np.array(values["SRCC"]) - [spearman(second[rows], labels[rows]) for rows in drawn]
    found = {
        f"{name}, before": holds(tuple(np.percentile(own, [2.5, 97.5])), known[name]) for name, own in values.items()
    }
    low, high = np.percentile(gaps, [2.5, 97.5])
    a, b = residuals
    return found | {
        "SRCC differs, before": 1 - holds((low, high), 0.0),
        "residuals differ, before": float(pearsonr(a + b, a - b).pvalue < 0.05),
    }


def holds(interval: tuple[float, float], value: float) -> float:
    return float(interval[0] <= value <= interval[1])


def mean_over_scenes(x: np.ndarray, y: np.ndarray, content: np.ndarray) -> tuple[float, float]:
    return groupwise(x, y, [str(c) for c in content]).mean_interval


def cubic_residuals(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return labels - np.polyval(np.polyfit(scores, labels, 3), scores)


def simulate(world: str, num_contents: int, num_draws: int, num_before: int = 0) -> dict[str, float]:
    """Share of draws by what is counted; of the first ``num_before`` also for the methods that were replaced."""
    rng, known = np.random.default_rng([num_contents, *world.encode(), 1]), truth(world)
    found: dict[str, list[float]] = {}
    for number in range(num_draws):
        labels, first, second, content = draw(world, num_contents, rng)
        a, b = cubic_residuals(first, labels), cubic_residuals(second, labels)
        counted = {
            name: holds(correlation_interval(first, labels, kind, contents=content), known[name])
            for name, kind in (("SRCC", "srcc"), ("PLCC", "plcc"))
        }
        counted["mean"] = holds(mean_over_scenes(first, labels, content), known["mean"])
        counted["SRCC differs"] = float(paired_srcc_difference(first, second, labels, contents=content).p_value < 0.05)
        counted["residuals differ"] = float(compare_variances(a, b, contents=content).p_value < 0.05)
        if number < num_before:
            counted |= before(first, second, labels, content, (a, b), rng, known)
        for name, value in counted.items():
            found.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def over_worlds(num_contents: int, num_draws: int, num_before: int = 0) -> dict[str, float]:
    found = [simulate(world, num_contents, num_draws, num_before) for world in WORLDS]
    return {name: float(np.mean([each[name] for each in found])) for name in found[0]}


@pytest.mark.long
@pytest.mark.parametrize("num_contents", [count for count in NUM_CONTENTS if count >= FEWEST_CONTENTS])
def test_intervals_hold_the_truth_and_tests_are_quiet(num_contents: int) -> None:
    found = over_worlds(num_contents, 300)
    for name in ("SRCC", "PLCC", "mean"):
        assert 0.93 <= found[name] <= 0.97, (name, found)
    assert max(found["SRCC differs"], found["residuals differ"]) <= 0.07, found


@pytest.mark.long
def test_the_case_of_16_contents_in_125_versions() -> None:
    """Two equal scorers and the mapping of the product; Pitman-Morgan tells them apart in half of the draws."""
    rng, alarms = np.random.default_rng(0), []
    for _ in range(200):
        labels, first, second, content = draw("hard", 16, rng, 125)
        a, b = (labels - fit_mapping(scores, labels)(scores) for scores in (first, second))
        alarms.append((compare_variances(a, b, contents=content).p_value < 0.05, pearsonr(a + b, a - b).pvalue < 0.05))
    now, pitman_morgan = np.mean(alarms, axis=0)
    assert now <= 0.07
    assert pitman_morgan > 0.4


@pytest.mark.long
def test_the_band_of_a_mapping_holds_it() -> None:
    labels, scores, _, _ = draw("mild", 4000, np.random.default_rng(0))
    known = fit_mapping(scores, labels)
    at = np.quantile(scores, [0.1, 0.3, 0.5, 0.7, 0.9])
    rng, held = np.random.default_rng(1), []
    for _ in range(100):
        labels, scores, _, content = draw("mild", 16, rng)
        low, high = mapping_band(scores, labels, fit_mapping(scores, labels), at, contents=content)
        held.append((low <= known(at)) & (known(at) <= high))
    assert 0.9 <= np.mean(held) <= 0.98


def main() -> None:
    sys.stdout.write("| contents | SRCC | PLCC | mean over scenes | false alarms: SRCC | false alarms: residuals |\n")
    sys.stdout.write("|---:|---:|---:|---:|---:|---:|\n")
    for num_contents in NUM_CONTENTS:
        found = {name: f"{value:.3f}".lstrip("0") for name, value in over_worlds(num_contents, 1000, 100).items()}
        cells = [f"{found[f'{name}, before']} / {found[name]}" for name in list(found) if f"{name}, before" in found]
        sys.stdout.write(f"| {num_contents} | {' | '.join(cells)} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    from ray_iqa.statistics import jackknife

    jackknife.FEWEST_CONTENTS = 2  # shown for fewer, too
    main()
