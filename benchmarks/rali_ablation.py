"""What each part of RALI is worth: every ablation of the paper, one configuration key each, on the demo's data.

    make demo && .venv/bin/python benchmarks/rali_ablation.py [--demo runs/demo] [--seeds 1]

All fits start from the demo's warm CLIP and learn from its annotations; SRCC is the mean over both data sets of the
demo's test pictures, whose contents no fit has seen. The demo's words are few and its warm-up taught kind and strength
of a distortion, so effects here are no estimate of those on photographs.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ray_iqa.config.jobs.fit_rali import FitRaliConfig
from ray_iqa.config.rali import RaliFitConfig
from ray_iqa.evaluation.validation import evaluate_verdicts
from ray_iqa.rali.annotations.records import ReasoningRecord, table_to_records
from ray_iqa.rali.fit.data import RecordedTexts, fit_images
from ray_iqa.rali.fit.stages import fit_in_process
from ray_iqa.rali.model.encoders import load_clip
from ray_iqa.runs.preflight import load_images
from ray_iqa.types import LabelledImage

ABLATIONS: dict[str, dict[str, object]] = {
    "full": {},
    "fit.alignment.enabled=false": {"alignment": {"enabled": False}},
    "fit.projection.enabled=false": {"projection": {"enabled": False}},
    "fit.basis.bucketed=false": {"basis": {"bucketed": False}},
    "fit.texts_per_image=1": {"texts_per_image": 1},
    "fit.fine_tuning.enabled=false": {"fine_tuning": {"enabled": False}},
    "fit.alignment.targets=soft": {"alignment": {"targets": "soft"}},
}


def main() -> None:
    """Fit and print one Markdown row per key."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", default="runs/demo")
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    home = Path(arguments.demo).absolute()
    config = FitRaliConfig.model_validate(json.loads((home / "fit" / "resolved.json").read_text())).fit
    records = [
        record
        for file in sorted((home / "annotations" / "records").glob("part-*.parquet"))
        for record in table_to_records(pq.ParquetFile(file).read())
    ]
    test = load_images([str(path) for path in sorted((home / "data").glob("*/manifest.csv"))], "test")
    print(f"{len(records)} rows of annotation, {len(test)} test pictures, {arguments.seeds} seeds")
    print("| key | held-out SRCC | difference | seconds |\n|---|---|---|---|")
    full = 0.0
    for key, change in ABLATIONS.items():
        began = time.perf_counter()
        found = [heldout_srcc(ablated(config, change, seed), records, test) for seed in range(arguments.seeds)]
        mean = float(np.mean(found))
        full = full or mean
        print(f"| {key} | {mean:.3f} | {mean - full:+.3f} | {time.perf_counter() - began:.0f} |", flush=True)


def ablated(config: RaliFitConfig, change: dict[str, object], seed: int) -> RaliFitConfig:
    """The configuration with one key changed."""
    tree = config.model_dump() | {"seed": seed}
    for section, value in change.items():
        tree[section] = tree[section] | value if isinstance(value, dict) else value
    return RaliFitConfig.model_validate(tree)


def heldout_srcc(config: RaliFitConfig, records: list[ReasoningRecord], test: list[LabelledImage]) -> float:
    """Fit from the warm CLIP and score the test pictures."""
    clip = load_clip(config.backbone.name, config.backbone.pretrained)
    texts = RecordedTexts(records, config.backbone.name)
    scorer = fit_in_process(clip, fit_images(records, config.target), config, lambda *_: None, texts)
    verdicts = scorer.score([image.image_path for image in test])
    return float(np.mean([report.srcc for report in evaluate_verdicts(test, verdicts)]))


if __name__ == "__main__":
    main()
