"""One of several processes that align one tower; a module of its own, so that they start without open_clip."""

import os
from pathlib import Path

import torch
from torch import nn

from ray_iqa.config.rali import AlignmentConfig
from ray_iqa.rali.fit.alignment import Aligner, AlignmentBatch, AlignmentModule, gather_from_all


def pairs(steps: int, seed: int, size: int = 8) -> list[AlignmentBatch]:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(steps, size, 3, 4, 4, generator=generator)
    texts = nn.functional.normalize(torch.randn(steps, size, 5, generator=generator), dim=-1)
    ids = torch.randint(0, 5, (steps, size), generator=generator)
    return [AlignmentBatch(pixels=p, texts=t, text_ids=i) for p, t, i in zip(pixels, texts, ids, strict=True)]


def new_module() -> AlignmentModule:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AlignmentModule(nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.Tanh(), nn.Linear(16, 5)))


CONFIG = AlignmentConfig(learning_rate=1e-2, projection_learning_rate=1e-2, warmup_fraction=0.2)


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    wrapped = nn.parallel.DistributedDataParallel(new_module())
    share = [
        AlignmentBatch(pixels=b.pixels[rank::2], texts=b.texts[rank::2], text_ids=b.text_ids[rank::2])
        for b in pairs(3, seed=2)
    ]
    figures = Aligner(wrapped, CONFIG, num_steps=3, gather=gather_from_all).train_epoch(share)
    torch.save((figures, wrapped.module.state_dict()), Path(folder) / f"{rank}.pt")
    torch.distributed.barrier()
    # A thread of torch's that meets an interpreter which is ending aborts the process; nothing is left to be ended.
    os._exit(0)
