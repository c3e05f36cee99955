"""`ray-iqa export`: a policy folder from a run, of its best validation or of one of its checkpoints."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from actors.training.learner import BEST, lone_learner
from actors.training.train import checkpoint_store
from ray_iqa.config.load import build_config, read_tree
from ray_iqa.config.train import TrainConfig
from ray_iqa.errors import CheckpointError, ConfigError, OutputError
from ray_iqa.files import whole_folder, writable_folder
from ray_iqa.policy.exported_version import VERSION_FILE
from ray_iqa.runs.config_changes import read_as
from ray_iqa.runs.remote_files import RemoteFolder, folder_for_reading, uri_below


def run(run_dir: str, step: str, out: str | None, overrides: Sequence[str]) -> int:
    """Write a Hugging Face folder; the exit code.

    Args:
        run_dir: of `ray-iqa train`, whose configuration may name a ``schedule.checkpoint_uri``; or such a URI.
        step: ``best``, or the step of a checkpoint.
        out: folder to write, new or of an earlier export; ``policy-best`` or ``policy-step-N`` in the run directory
            when None.
        overrides: of the run's configuration, such as the number of ranks on this machine.

    Raises:
        ConfigError: the folder or URI holds no run, or ``step`` is neither.
        CheckpointError: there is no such checkpoint, or nothing validated better than the start.
        OutputError: ``out`` holds something else than an exported policy, or cannot be written.
    """
    if step != "best" and not step.isdecimal():
        raise ConfigError(f"--step must be best or the number of a checkpoint, got {step!r}")
    config = _config(run_dir, overrides)
    store = checkpoint_store(config.schedule, Path(run_dir))
    if out is None and "://" in run_dir:
        raise ConfigError(f"--out must name a folder for a policy from {run_dir}")
    target = Path(run_dir) / (BEST if step == "best" else f"policy-step-{step}") if out is None else Path(out)
    writable_folder(target.parent)
    if target.exists() and not (target / VERSION_FILE).is_file():  # what is there would be replaced
        raise OutputError(f"--out must be a new folder or one of an earlier export, {target} holds something else")
    if step == "best":
        _copy(store.place(BEST), target)
    else:
        complete = {progress.step: (checkpoint, progress) for checkpoint, progress in store.complete()}
        if int(step) not in complete:
            known = ", ".join(map(str, complete)) or "none"
            raise CheckpointError(f"--step must be best or a checkpoint that {run_dir} keeps ({known}), got {step}")
        checkpoint, progress = complete[int(step)]
        learner_section = config.learner.model_copy(update={"kl_coef": 0.0})  # what learns nothing needs no reference
        config = config.model_copy(update={"learner": learner_section})
        with lone_learner(config, store, config.schedule.num_steps) as learner:
            learner.load(checkpoint)
            learner.export(str(target), progress)
    sys.stdout.write(f"Exported policy: {target}\n")
    return 0


def _config(run_dir: str, overrides: Sequence[str]) -> TrainConfig:
    remote = "://" in run_dir
    folder = uri_below(run_dir, "logs") if remote else run_dir
    with folder_for_reading(folder, lambda name: name == "resolved.json") as logs:
        resolved = logs / "resolved.json"
        if not resolved.is_file():
            raise ConfigError(f"RUN must be a run directory of ray-iqa train or its URI, found no {resolved}")
        settings, _ = read_as(TrainConfig, read_tree(resolved), {})
        config = build_config(TrainConfig, settings, overrides, str(resolved))
    schedule = config.schedule.model_copy(update={"checkpoint_uri": run_dir}) if remote else config.schedule
    return config.model_copy(update={"schedule": schedule})


def _copy(best: str, target: Path) -> None:
    if not (RemoteFolder(best).read(VERSION_FILE) if "://" in best else (Path(best) / VERSION_FILE).is_file()):
        raise CheckpointError(f"no validation of this run was better than the one before its first step: no {best}")
    if Path(best).resolve() == target.resolve():
        return
    with folder_for_reading(best, lambda _: True) as found, whole_folder(target) as partial:
        shutil.copytree(found, partial, dirs_exist_ok=True)
