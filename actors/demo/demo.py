"""`ray-iqa demo`: pictures, a policy that can see and name but not judge, RL to rank, a light scorer; on a laptop.

Every stage leaves a folder; a finished one is not done again, so the same command resumes.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from actors.cluster.stop_signal import STOPPED, StopRequest
from actors.training.learner import export_and_tell, is_complete
from actors.training.train import POLICY, OpenRun, take_directory, with_restarts
from ray_iqa.config.load import load_config
from ray_iqa.config.train import TrainConfig
from ray_iqa.evaluation.validation import evaluate_groups, format_side_by_side
from ray_iqa.files import whole_folder, write_text
from ray_iqa.runs.preflight import Inputs, check_inputs, load_images
from ray_iqa.seeds import derive_seed
from ray_iqa.training import train
from ray_iqa.types import EvaluationReport

CONFIG = "quickstart"
COMPLETIONS_PER_TEST_IMAGE = 8
PICTURE_SIZE = 56  # pixels per side


def run(
    folder: str, seed: int, overrides: Sequence[str], stop: StopRequest, *, permute_labels: bool, change_learning: bool
) -> int:
    """Run or resume the demonstration in ``folder``; the exit code."""
    home = Path(folder).absolute()
    load_config(TrainConfig, CONFIG, overrides)  # what is wrong with it is said before minutes of preparation
    manifests = _prepare(home, seed, permute_labels=permute_labels)
    settings = [
        f"run_dir={home / 'run'}",
        f"seed={seed}",
        f"policy.model={home / 'start'}",
        f"data.train={json.dumps([str(path) for path in manifests['train']])}",
        f"evaluation.manifests={json.dumps([str(path) for path in manifests['test']])}",
    ]
    config = load_config(TrainConfig, CONFIG, [*settings, *overrides])
    inputs = check_inputs(config)
    policy = inputs.run_dir / POLICY

    def test_train_test(opened: OpenRun) -> bool:
        _once(home / "before.json", lambda: _test(config, inputs, opened, manifests["test"]))
        progress = train(opened.training, config.schedule)
        if not export_and_tell(opened.learner, str(policy), progress, config.schedule.num_steps) or stop.requested():
            return False
        stop.in_hand = ""  # the same command does the rest
        _once(home / "after.json", lambda: _test(config, inputs, opened, manifests["test"], home))
        return True

    with take_directory(config, inputs, change_learning=change_learning) as store:
        done = is_complete(store, config.schedule.num_steps, str(policy)) and (home / "after.json").exists()
        if not done and not with_restarts(config, inputs, store, stop, test_train_test):
            return STOPPED
    before, after = _read_reports(home / "before.json"), _read_reports(home / "after.json")
    _say(format_side_by_side({"before": before, "after": after}))
    _say(f"Exported policy:  {policy}")
    _say(f"Every rollout:    python -c \"import pandas; print(pandas.read_parquet('{inputs.run_dir / 'rollouts'}'))\"")
    _say(f"Curves:           tensorboard --logdir {inputs.run_dir / 'tensorboard'}")
    if not permute_labels:
        _distil(home, seed, policy, manifests["test"], after)
    return 0


def _distil(home: Path, seed: int, policy: Path, manifests: list[Path], taught: list[EvaluationReport]) -> None:
    """The second half: a light scorer learns from the policy."""
    from actors.demo.light_scorer import distil, warm_clip

    _stage(home / "clip", "CLIP warm-up", lambda path: warm_clip(home / "data", path, seed))
    distil(home, policy, manifests, seed, load_images([str(path) for path in manifests], "test"), taught)


def _prepare(home: Path, seed: int, *, permute_labels: bool) -> dict[str, list[Path]]:
    """Pictures, vision warm-up and cold start; the manifests to train and to test on."""
    from ray_iqa.quickstart.distortions import kinds_sentence, visible_kinds
    from ray_iqa.quickstart.synthesise import permute_labels as permuted
    from ray_iqa.quickstart.synthesise import synthesise

    # Read when libraries are imported: no bars for files of a few megabytes, no search for an accelerator.
    os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "DS_ACCELERATOR": "cpu"}
    from ray_iqa.quickstart.cold_start import cold_start
    from ray_iqa.quickstart.tiny_policy import build_tiny_policy
    from ray_iqa.quickstart.vision_warm_up import warm_up

    kinds = visible_kinds(PICTURE_SIZE)
    title = f"Writing pictures {kinds_sentence(kinds)} (a tiny policy cannot see those in {PICTURE_SIZE} pixels)"
    data = _stage(home / "data", title, lambda path: synthesise(path, size=PICTURE_SIZE, kinds=kinds, seed=seed))
    blank = _stage(home / "blank", "Building the policy", lambda path: build_tiny_policy(path, seed=seed))
    seeing = _stage(home / "seeing", "Vision warm-up", lambda path: warm_up(blank, data, path, seed=seed))
    _stage(home / "start", "Cold start", lambda path: cold_start(seeing, data, path, seed=seed))
    manifests = sorted(data.glob("*/manifest.csv"))
    if not permute_labels:
        return {"train": manifests, "test": manifests}
    control = _stage(home / "permuted", "Permuting labels", lambda path: permuted(manifests, path, seed=seed))
    return {"train": sorted(control.glob("*.csv")), "test": manifests}


def _stage(folder: Path, title: str, make: Callable[[Path], object]) -> Path:
    """Make ``folder`` unless it is there."""
    if not folder.exists():
        _say(title)
        with whole_folder(folder) as partial:
            make(partial)
    return folder


def _test(
    config: TrainConfig, inputs: Inputs, opened: OpenRun, manifests: list[Path], keep_in: Path | None = None
) -> list[EvaluationReport]:
    """Held-out images: all contents unseen by warm-up, cold start and RL."""
    from actors.demo.report import keep_answers

    images = load_images([str(path) for path in manifests], "test")
    spec = config.rollout.sampling_spec(derive_seed(config.seed, "test"), COMPLETIONS_PER_TEST_IMAGE)
    groups = opened.pool.sample(images, spec)
    if keep_in is not None:
        keep_answers(keep_in, manifests, groups, inputs.prompts[None])
    return evaluate_groups(groups, inputs.prompts[None])


def _once(file: Path, measure: Callable[[], list[EvaluationReport]]) -> None:
    if not file.exists():
        write_text(file, json.dumps([asdict(report) for report in measure()], indent=2))


def _read_reports(file: Path) -> list[EvaluationReport]:
    return [EvaluationReport(**row) for row in json.loads(file.read_text(encoding="utf-8"))]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
