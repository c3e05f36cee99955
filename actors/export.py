"""`ray-iqa export`: a policy folder from a run, of its best validation or of one of its checkpoints."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from actors.learner import BEST, lone_learner
from actors.train import checkpoint_store
from ray_iqa.config.load import load_config
from ray_iqa.config.train import TrainConfig
from ray_iqa.errors import CheckpointError, ConfigError
from ray_iqa.files import whole_folder, writable_folder
from ray_iqa.remote_files import folder_for_reading


def run(run_dir: str, step: str, out: str | None, overrides: Sequence[str]) -> int:
    """Write a Hugging Face folder; the exit code.

    Args:
        run_dir: of `ray-iqa train`; its configuration may name a ``schedule.checkpoint_uri``.
        step: ``best``, or the step of a checkpoint.
        out: folder to write; ``policy-best`` or ``policy-step-N`` in the run directory when None.
        overrides: of the run's configuration, such as the number of ranks on this machine.

    Raises:
        ConfigError: the folder holds no run, or ``step`` is neither.
        CheckpointError: there is no such checkpoint, or nothing validated better than the start.
    """
    resolved = Path(run_dir) / "resolved.json"
    if not resolved.is_file():
        raise ConfigError(f"RUN must be a run directory of ray-iqa train, found no {resolved}")
    if step != "best" and not step.isdecimal():
        raise ConfigError(f"--step must be best or the number of a checkpoint, got {step!r}")
    config = load_config(TrainConfig, str(resolved), overrides)
    store = checkpoint_store(config.schedule, Path(run_dir))
    target = Path(out or Path(run_dir) / (BEST if step == "best" else f"policy-step-{step}"))
    writable_folder(target.parent)
    if step == "best":
        _copy(store.place(BEST), target)
    else:
        complete = {progress.step: (checkpoint, progress) for checkpoint, progress in store.complete()}
        if int(step) not in complete:
            known = ", ".join(map(str, complete)) or "none"
            raise CheckpointError(f"--step must be best or a checkpoint that {run_dir} keeps ({known}), got {step}")
        checkpoint, progress = complete[int(step)]
        with lone_learner(config, store, num_steps=config.schedule.num_steps, seed=config.seed) as learner:
            learner.load(checkpoint)
            learner.export(str(target), progress)
    sys.stdout.write(f"Exported policy: {target}\n")
    return 0


def _copy(best: str, target: Path) -> None:
    if "://" not in best and not Path(best).is_dir():
        raise CheckpointError(f"no validation of this run was better than the one before its first step: no {best}")
    if Path(best).resolve() == target.resolve():
        return
    with folder_for_reading(best, lambda _: True) as found, whole_folder(target) as partial:
        shutil.copytree(found, partial, dirs_exist_ok=True)
