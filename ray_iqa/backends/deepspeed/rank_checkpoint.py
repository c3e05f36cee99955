"""One rank's part of a checkpoint: the states of trainable parameters by name, random generator, policy version.

A file holds the flat tensors that its rank updates, as they are, and says where in them lies what of which parameter.
Ranks of the same layout read their own file; another number of ranks or another ZeRO stage reads all of them, mapped
into memory, and takes what it needs. Frozen parameters are left out: they are those of ``policy.model``.
"""

import re
from pathlib import Path
from typing import Any

import torch

from ray_iqa.backends.deepspeed.engine import DeepSpeedEngine
from ray_iqa.backends.deepspeed.old_checkpoint import is_of_rank, load_deepspeed, restore_generators
from ray_iqa.backends.deepspeed.optimizer_parts import (
    Part,
    State,
    flat_tensors,
    num_elements,
    parts_of,
    raise_step,
    state_of,
    take_values,
)
from ray_iqa.errors import CheckpointError

_FILE = re.compile(r"rank-(\d+)-of-(\d+)-zero-(\d)\.pt")


def save_rank(engine: DeepSpeedEngine, folder: Path, policy_version: int) -> None:
    """Write everything an exact continuation needs; of the random generators torch's, the learner has no other."""
    folder.mkdir(parents=True, exist_ok=True)
    rank, flats = torch.distributed.get_rank(), flat_tensors(engine)
    # Without ZeRO all ranks hold the same, and each writes some of it.
    kept = [index for index in range(len(flats)) if engine.stage > 0 or index % engine.num_ranks == rank]
    state: dict[str, Any] = {
        "rank": rank,
        "policy_version": policy_version,
        "generator": torch.get_rng_state(),
        "flats": {index: _compact(state_of(engine, flats[index])) for index in kept},
        "parts": [tuple(part) for part in parts_of(engine) if part.flat in kept],
    }
    if torch.cuda.is_available():
        state["cuda_generator"] = torch.cuda.get_rng_state()
    torch.save(state, folder / f"rank-{rank}-of-{engine.num_ranks}-zero-{engine.stage}.pt")
    torch.distributed.barrier()


def load_rank(engine: DeepSpeedEngine, folder: Path) -> int:
    """Continue from `save_rank`, also of other numbers of ranks and ZeRO stages; returns the policy version.

    Dropout in adapters continues exactly with the same number of ranks only.

    Raises:
        CheckpointError: something of a trained parameter is missing.
    """
    files = [path for path in sorted(folder.glob("rank-*-zero-*.pt")) if is_needed(engine, path.name)]
    if not files:
        return load_deepspeed(engine, folder)
    saved = [torch.load(path, map_location="cpu", mmap=True, weights_only=True) for path in files]
    pieces: dict[str, list[tuple[Part, State]]] = {}
    for content in saved:
        for part in (Part(*fields) for fields in content["parts"]):
            pieces.setdefault(part.name, []).append((part, content["flats"][part.flat]))
    flats, sizes = flat_tensors(engine), num_elements(engine)
    if pieces.keys() > sizes.keys():
        name = min(pieces.keys() - sizes.keys())
        raise CheckpointError(
            f"{folder} must hold states of what is trained only, but it holds {name}, which is frozen"
        )
    for part in parts_of(engine):
        found = sum(_copy(engine, flats[part.flat], part, *piece) for piece in pieces.get(part.name, ()))
        if found != part.size:
            raise CheckpointError(f"{folder} must hold all of {part.name}, found {found} of {part.size} numbers of it")
    take_values(engine)
    for content in saved:
        if content["rank"] == torch.distributed.get_rank():
            restore_generators(content)
    return int(saved[0]["policy_version"])


def is_needed(engine: DeepSpeedEngine, name: str) -> bool:
    """Whether this rank reads this file of a checkpoint."""
    rank, parsed = torch.distributed.get_rank(), _FILE.fullmatch(name)
    if parsed is None:
        return is_of_rank(name, rank)
    of_rank, num_ranks, stage = map(int, parsed.groups())
    return of_rank == rank or stage == 0 or (num_ranks, stage) != (engine.num_ranks, engine.stage)


def _compact(state: State) -> State:
    """The same without views, whose whole storage would be written."""
    return {
        name: value if value.untyped_storage().nbytes() == value.nbytes else value.clone()
        for name, value in state.items()
    }


def _copy(engine: DeepSpeedEngine, flat: torch.Tensor, part: Part, saved: Part, state: State) -> int:
    """Copy what ``part`` of ``flat`` and a saved one have in common; returns the number of elements."""
    start, end = max(part.start, saved.start), min(part.start + part.size, saved.start + saved.size)
    if start >= end:
        return 0
    if "step" in state:
        raise_step(engine, flat, state["step"])
    for name, target in state_of(engine, flat).items():
        if name in state and name != "step":
            values = state[name].view(-1).narrow(0, saved.offset + start - saved.start, end - start)
            target.view(-1).narrow(0, part.offset + start - part.start, end - start).copy_(values)
    return end - start
