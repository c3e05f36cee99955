"""Checkpoints that ray_iqa 0.1 wrote, by DeepSpeed's own means: they are read by the layout that wrote them."""

import re
from pathlib import Path
from typing import Any

import torch

from ray_iqa.backends.deepspeed.engine import DeepSpeedEngine
from ray_iqa.errors import CheckpointError

_TAG = "deepspeed"


def load_deepspeed(engine: DeepSpeedEngine, folder: Path) -> int:
    """Continue from such a checkpoint; returns the policy version.

    Raises:
        CheckpointError: files are missing, or another number of ranks or another ZeRO stage wrote them.
    """
    written, read = _layout(folder), (engine.num_ranks, engine.stage if engine.stage != 1 else 2)
    if written != read:
        raise CheckpointError(
            f"{folder} was written by an older ray_iqa and must be resumed with learner.num_ranks={written[0]} and "
            f"learner.zero_stage={written[1]} up to the next checkpoint, got {read[0]} and {read[1]}; what is written "
            "from then on resumes with any"
        )
    optimizer: Any = engine.raw.optimizer  # DeepSpeed is not typed
    settings = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    has_frozen = any(not parameter.requires_grad for parameter in engine.scorer.parameters())
    if engine.raw.load_checkpoint(str(folder), tag=_TAG, load_module_strict=not has_frozen)[0] is None:
        raise CheckpointError(f"{folder} must contain the learner's state in {_TAG}/, but DeepSpeed found none")
    for group, before in zip(optimizer.param_groups, settings, strict=True):
        group.update(before)  # those of the configuration, not of the checkpoint
    if engine.stage > 0:
        optimizer.clip_grad = engine.raw.gradient_clipping()
    state = torch.load(folder / f"rank-{torch.distributed.get_rank()}.pt", weights_only=True)
    restore_generators(state)
    return int(state["policy_version"])


def is_of_rank(name: str, rank: int) -> bool:
    """Whether a rank reads this file; shards of other ranks it does not."""
    shard = re.search(r"zero_pp_rank_(\d+)_", name)
    return shard is None or int(shard[1]) == rank


def restore_generators(state: dict[str, Any]) -> None:
    """Set torch's random generators to what was saved."""
    torch.set_rng_state(state["generator"])
    if "cuda_generator" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda_generator"])


def _layout(folder: Path) -> tuple[int, int]:
    """Number of ranks and ZeRO stage, 2 for 1, that wrote a checkpoint."""
    names = [path.name for path in (folder / _TAG).glob("*zero_pp_rank_0_*")]
    stage = 3 if any(name.endswith("model_states.pt") for name in names) else 2 if names else 0
    return len(list(folder.glob("rank-*.pt"))), stage
