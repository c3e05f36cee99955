"""A run and an evaluation as the commands leave them, small."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ray_iqa.evaluation.differences import corrected, difference
from ray_iqa.evaluation.measure import measure
from ray_iqa.evaluation.records import PredictionRow, write_predictions
from ray_iqa.evaluation.result_files import write_results

HOSTILE = "</blockquote><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>{{ 7 * 7 }}"
DATASET = "it's $\\frac$ <b>set</b>"
LIGHT, POLICY = "light", "policy <i>7B</i>"
NUM_IMAGES = 40


def write_run(folder: Path, num_steps: int = 30) -> Path:
    """Curves and rollouts; the scores of step s are all s / num_steps higher than 1."""
    (folder / "rollouts").mkdir(parents=True)
    lines = []
    for step in range(1, num_steps + 1):
        row: dict[str, float | None] = {"step": step, "reward/mean": step / 10, "policy/kl": None}
        if step % 10 == 0:
            row |= {"eval/a/srcc": step / 40, "eval/srcc": step / 40}
        lines.append(json.dumps(row) + "\n")
        scores = pa.array([1 + step / num_steps, 2.0, None], pa.float32())
        table = pa.table({"step": pa.array([step] * 3, pa.int32()), "score": scores})
        pq.write_table(table, folder / "rollouts" / f"step-{step:06d}.parquet")
    (folder / "metrics.jsonl").write_text("".join(lines))
    return folder


def prediction(model: str, number: int, score: float | None, **others: object) -> PredictionRow:
    """One row of a dataset with a MOS that equals ``number``."""
    fields: dict[str, object] = {
        "dataset": DATASET,
        "image_id": f"{number:03d}",
        "image_path": f"/nowhere/{number:03d}.png",
        "mos": float(number),
        "direction": "higher",
        "mos_low": 0.0,
        "mos_high": float(NUM_IMAGES),
        "status": "failed" if score is None else "ok",
        "reason": "no readable score" if score is None else None,
    }
    return PredictionRow(model=model, score=score, **(fields | others))  # type: ignore[arg-type]


def predictions(pictures: Path | None = None) -> list[PredictionRow]:
    """Two models on images of two distortions and five levels, labels falling with the level; one answer failed."""
    rng = np.random.default_rng(0)
    rows = []
    for model, spread, seconds in ((LIGHT, 0.6, 0.001), (POLICY, 0.3, 0.02)):
        for number in range(NUM_IMAGES):
            level = 5 - number // 8
            score = 1 + 4 * number / NUM_IMAGES + spread * rng.standard_normal()
            failed = model == POLICY and number == 7
            path = {} if pictures is None else {"image_path": str(pictures / f"{number:03d}.png")}
            rows.append(
                prediction(
                    model,
                    number,
                    None if failed else score,
                    distortion="blur" if number % 2 else "noise",
                    level=level,
                    reasoning=None if model == LIGHT or failed else HOSTILE,
                    seconds=seconds,
                    **path,
                )
            )
    return rows


def write_evaluation(folder: Path) -> Path:
    """Predictions, pictures and results."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for number in range(NUM_IMAGES - 1):  # the last picture is missing
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(pictures / f"{number:03d}.png")
    rows = predictions(pictures)
    write_predictions(folder, rows)
    by_model = [[row for row in rows if row.model == model] for model in (LIGHT, POLICY)]
    measurements = [measure(own, "one pass", seed=0) for own in by_model]
    write_results(folder, measurements, corrected([difference(*by_model, seed=0)]), [], {})
    return folder
