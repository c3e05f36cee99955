"""The demonstration's second half: the tuned policy writes about training pictures, a light scorer learns from it.

There is no pretrained CLIP at hand. A small one gets a start like the policy's: it learns which pictures and which
words for kind and strength of a distortion belong together, on training contents only and without a quality label.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from actors.demo.report import POLICY, RALI, leave_report
from actors.jobs.annotate import annotate
from actors.jobs.fit_rali import SCORER, fit_rali
from ray_iqa.answers.verdict import Verdict
from ray_iqa.backends.scorer_cost import ScorerCost, policy_cost, rali_cost
from ray_iqa.config.jobs.annotate import AnnotateConfig
from ray_iqa.config.jobs.fit_rali import FitRaliConfig
from ray_iqa.config.load import load_config
from ray_iqa.evaluation.scorers.scorer import OnImages
from ray_iqa.evaluation.validation import evaluate_verdicts, format_side_by_side
from ray_iqa.rali.scorer import RaliScorer
from ray_iqa.types import EvaluationReport, LabelledImage

ANNOTATE, FIT = "annotate_small", "fit_small"
_WARM_UP_PICTURES, _WARM_UP_BATCH = 6000, 64
_NUM_TIMED = 96  # pictures


def warm_clip(data: Path, folder: Path, seed: int, num_steps: int = 400) -> None:
    """Write a small CLIP that has read attribute words next to training pictures of ``data``."""
    from ray_iqa.quickstart.attributes import describe
    from ray_iqa.quickstart.ladder_pictures import load_training_pictures
    from ray_iqa.rali.fit.small_clip import build_small_clip, warm_up

    pictures = load_training_pictures(data)
    chosen = range(0, len(pictures.kinds), max(1, len(pictures.kinds) // _WARM_UP_PICTURES))
    clip = build_small_clip(folder, size=pictures.pixels.shape[-1], seed=seed)
    warm_up(
        clip,
        [pictures.pixels[place].permute(1, 2, 0).numpy() for place in chosen],
        [describe(pictures.kinds[place], int(pictures.levels[place])) for place in chosen],
        num_steps=num_steps,
        batch_size=_WARM_UP_BATCH,
        seed=seed,
    )
    clip.save(folder)


def distil(
    home: Path,
    policy: Path,
    manifests: list[Path],
    seed: int,
    test: list[LabelledImage],
    taught: list[EvaluationReport],
) -> None:
    """Annotate, fit, evaluate on the policy's own test images, and print both side by side.

    Args:
        home: folder of the demonstration; ``home / "clip"`` is warm.
        policy: the exported teacher.
        manifests: of the training pictures.
        seed: of everything.
        test: held-out images.
        taught: the policy's reports on them.
    """
    clip = f"backbone.name={home / 'clip'}"
    annotation = load_config(
        AnnotateConfig,
        ANNOTATE,
        [
            f"run_dir={home / 'annotations'}",
            f"seed={seed}",
            f"images.sources={json.dumps([str(path) for path in manifests])}",
            f"policy.model={policy}",
            clip,
        ],
    )
    annotate(annotation)
    scorer = home / "fit" / SCORER
    if not scorer.exists():
        settings = [f"run_dir={home / 'fit'}", f"annotations={home / 'annotations'}", f"fit.{clip}"]
        fit_rali(load_config(FitRaliConfig, FIT, [*settings, f"fit.seed={seed}"]))
    verdicts = OnImages(RaliScorer.load(scorer)).predict(test)
    costs = _compare(annotation, scorer, test, taught, verdicts)
    seconds = {name: cost.seconds_per_image for name, cost in costs.items()}
    page = leave_report(home, manifests, scorer, test, verdicts, seconds)
    sys.stdout.write(f"Report:             {page}\n")
    sys.stdout.flush()


def _compare(
    annotation: AnnotateConfig,
    scorer: Path,
    test: list[LabelledImage],
    taught: list[EvaluationReport],
    verdicts: Sequence[Verdict],
) -> dict[str, ScorerCost]:
    """Print both models side by side; what each of them costs."""
    reports = {POLICY: taught, RALI: evaluate_verdicts(test, verdicts)}
    timed = test[:_NUM_TIMED]
    spec = annotation.rollout.sampling_spec(seed=0)
    costs = {
        POLICY: policy_cost(annotation.policy, annotation.rollout, timed, spec),
        RALI: rali_cost(str(scorer), timed, annotation.rollout.num_threads),
    }
    ratio = sum(report.srcc for report in reports[RALI]) / sum(report.srcc for report in taught)
    sys.stdout.write(f"{format_side_by_side(reports)}\n")
    sys.stdout.write(f"RALI keeps {100 * ratio:.0f} % of its teacher's SRCC.\n")
    for name, cost in costs.items():
        answers = f" ({spec.num_completions} answers)" if name == POLICY else ""
        sys.stdout.write(f"{name + answers + ':':<20}{cost}\n")
    sys.stdout.write(
        f"Score pictures:     ray-iqa score PICTURES --model {scorer}\n"
        "                    (it knows pictures like those of this demonstration; its scores of others mean nothing)\n"
    )
    return costs
