"""One rank's part of a checkpoint: DeepSpeed's shards, random generators, policy version."""

import re
from pathlib import Path
from typing import Any

import torch

from ray_iqa.backends.deepspeed_engine import DeepSpeedEngine
from ray_iqa.errors import CheckpointError

_TAG = "deepspeed"


def save_rank(engine: DeepSpeedEngine, folder: Path, policy_version: int) -> None:
    """Write everything an exact continuation needs.

    Frozen parameters are left out: they are those of ``policy.model``. Of the random generators only
    torch's are kept; the learner draws from no other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state: dict[str, Any] = {"policy_version": policy_version, "generator": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda_generator"] = torch.cuda.get_rng_state()
    torch.save(state, folder / _rank_file(torch.distributed.get_rank()))
    engine.raw.save_checkpoint(str(folder), tag=_TAG, save_latest=False, exclude_frozen_parameters=True)
    torch.distributed.barrier()


def load_rank(engine: DeepSpeedEngine, folder: Path) -> int:
    """Continue from `save_rank`; returns the policy version.

    Raises:
        CheckpointError: files are missing, or it was written by another number of ranks.
    """
    saved_ranks = len(list(folder.glob(_rank_file("*"))))
    if saved_ranks != engine.num_ranks:
        raise CheckpointError(
            f"a checkpoint must be resumed with the learner.num_ranks that wrote it, "
            f"{folder} has the files of {saved_ranks} ranks, the learner has {engine.num_ranks}"
        )
    has_frozen = any(not parameter.requires_grad for parameter in engine.scorer.parameters())
    found, _ = engine.raw.load_checkpoint(str(folder), tag=_TAG, load_module_strict=not has_frozen)
    if found is None:
        raise CheckpointError(f"{folder} must contain the learner's state in {_TAG}/, but DeepSpeed found none")
    state = torch.load(folder / _rank_file(torch.distributed.get_rank()), weights_only=True)
    torch.set_rng_state(state["generator"])
    if "cuda_generator" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda_generator"])
    return int(state["policy_version"])


def is_needed(rank: int, name: str) -> bool:
    """Whether a rank reads this file of a checkpoint; shards of other ranks it does not."""
    shard = re.search(r"zero_pp_rank_(\d+)_", name)
    return shard is None or int(shard[1]) == rank


def _rank_file(rank: int | str) -> str:
    return f"rank-{rank}.pt"
