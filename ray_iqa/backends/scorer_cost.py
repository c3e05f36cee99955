"""What a score costs: parameters, seconds and memory of the policy and of the light scorer, each in a fresh process."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import prod
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec

from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.types import LabelledImage, SamplingSpec

Parameters = ParamSpec("Parameters")
_NUM_WARM_UP = 16  # pictures before the clock starts


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerCost:
    """Of scoring many pictures, after the model is loaded and warm."""

    num_parameters: int
    seconds_per_image: float
    peak_memory_mib: float  # of the process, of its GPU where it used one

    def __str__(self) -> str:
        """One line."""
        return (
            f"{self.num_parameters:,} parameters, {1000 * self.seconds_per_image:.2f} ms per image, "
            f"{self.peak_memory_mib:,.0f} MiB at most"
        )


def policy_cost(
    policy: PolicyConfig, rollout: VllmRolloutConfig, images: Sequence[LabelledImage], spec: SamplingSpec
) -> ScorerCost:
    """Of a policy in a vLLM engine that gets all pictures at once; ``spec.num_completions`` answers per picture."""
    return _in_fresh_process(_policy_cost, policy, rollout, images, spec)


def rali_cost(folder: str, images: Sequence[LabelledImage], num_threads: int | None, device: str = "cpu") -> ScorerCost:
    """Of the scorer in ``folder``."""
    return _in_fresh_process(_rali_cost, folder, images, num_threads, device)


def _in_fresh_process(
    measure: Callable[Parameters, ScorerCost], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> ScorerCost:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_silence) as pool:
        return pool.submit(measure, *args, **kwargs).result()


def _silence() -> None:
    """Engines talk a lot; what goes wrong comes back as an exception."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _policy_cost(
    policy: PolicyConfig, rollout: VllmRolloutConfig, images: Sequence[LabelledImage], spec: SamplingSpec
) -> ScorerCost:
    from ray_iqa.backends.vllm.sampler import VllmSampler

    sampler = VllmSampler(policy, rollout)
    sampler.sample(images[:_NUM_WARM_UP], spec)
    began = time.perf_counter()
    sampler.sample(images, spec)
    seconds = time.perf_counter() - began
    return _cost(sum(prod(shape) for shape in sampler.weights.expected.values()), seconds, len(images))


def _rali_cost(folder: str, images: Sequence[LabelledImage], num_threads: int | None, device: str) -> ScorerCost:
    import torch

    from ray_iqa.rali.scorer import RaliScorer

    if num_threads is not None:
        torch.set_num_threads(num_threads)
    scorer = RaliScorer.load(folder, device)
    paths = [image.image_path for image in images]
    scorer.score(paths[:_NUM_WARM_UP])
    began = time.perf_counter()
    scorer.score(paths)  # values leave the device, so the clock needs no other synchronisation
    seconds = time.perf_counter() - began
    artifact = scorer.artifact
    parameters = [*artifact.encoder.tower.parameters(), *artifact.head.parameters()]
    return _cost(sum(parameter.numel() for parameter in parameters), seconds, len(images))


def _cost(num_parameters: int, seconds: float, num_images: int) -> ScorerCost:
    import torch

    on_gpu = torch.cuda.is_available() and torch.cuda.max_memory_reserved() > 0
    peak = torch.cuda.max_memory_reserved() if on_gpu else _peak_resident_bytes()
    return ScorerCost(
        num_parameters=num_parameters, seconds_per_image=seconds / num_images, peak_memory_mib=peak / 2**20
    )


def _peak_resident_bytes() -> int:
    """Of this process on Linux; getrusage would begin at what its parent had when it started this one."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
