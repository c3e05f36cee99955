"""Which parameters a policy has, and whether a snapshot carries exactly those."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence

import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from ray_iqa.config.policy import PolicyConfig
from ray_iqa.errors import WeightTransferError
from ray_iqa.types import TensorSpec, WeightSnapshot

Shapes = Mapping[str, tuple[int, ...]]


def expected_parameters(policy: PolicyConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter as the transformers model of ``policy`` has them; tied ones appear once.

    No weights are read or allocated.
    """
    config = AutoConfig.from_pretrained(policy.model, revision=policy.revision)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)  # type: ignore[no-untyped-call]
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def check_manifest(manifest: Sequence[TensorSpec], expected: Shapes) -> None:
    """Compare names and shapes with those of the model, before anything touches the engine.

    vLLM accepts an update that lacks a parameter and keeps the old value, so nobody else notices.

    Raises:
        WeightTransferError: a parameter is missing, unknown, listed twice or has another shape or no known dtype.
    """
    shapes = {spec.name: spec.shape for spec in manifest}
    if len(shapes) != len(manifest):
        raise WeightTransferError(
            f"a snapshot must list each parameter once, got {len(manifest)} entries for {len(shapes)} names"
        )
    check_coverage(shapes, expected)
    for spec in manifest:
        if tuple(spec.shape) != tuple(expected[spec.name]):
            raise WeightTransferError(
                f"{spec.name} must have shape {tuple(expected[spec.name])}, the snapshot has {tuple(spec.shape)}"
            )
        torch_dtype(spec)


def check_coverage(names: Iterator[str] | Mapping[str, object] | set[str], expected: Shapes) -> None:
    """Require exactly the expected names.

    Raises:
        WeightTransferError: naming the first missing or unknown parameter and how many there are.
    """
    given = set(names)
    for problem, listed in (("lacks", expected.keys() - given), ("has unknown", given - expected.keys())):
        if listed:
            raise WeightTransferError(
                f"the weights must hold exactly the {len(expected)} parameters of the model: "
                f"the update {problem} {min(listed)} (and {len(listed) - 1} more)"
            )


def torch_dtype(spec: TensorSpec) -> torch.dtype:
    """The torch dtype that ``spec`` names.

    Raises:
        WeightTransferError: torch has no floating-point dtype of that name.
    """
    dtype = getattr(torch, spec.dtype, None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise WeightTransferError(f"{spec.name} must have a floating-point dtype of torch, got {spec.dtype!r}")
    return dtype


def snapshot_tensors(snapshot: WeightSnapshot) -> Iterator[tuple[str, torch.Tensor]]:
    """Every parameter as a view of the snapshot's memory; nothing is copied.

    The views must not be written to: it may be memory that other processes read too.

    Raises:
        WeightTransferError: a parameter has fewer or more bytes than its shape and dtype say, or none at all.
    """
    if len(snapshot.values) != len(snapshot.manifest):
        raise WeightTransferError(
            f"a snapshot must hold the {len(snapshot.manifest)} values of its manifest, it holds {len(snapshot.values)}"
        )
    for spec, value in zip(snapshot.manifest, snapshot.values, strict=True):
        dtype = torch_dtype(spec)
        num_bytes = math.prod(spec.shape) * dtype.itemsize
        if value.nbytes != num_bytes:
            raise WeightTransferError(f"{spec.name} must have {num_bytes} bytes, the snapshot has {value.nbytes}")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given buffer is not writable")
            flat = torch.frombuffer(value, dtype=dtype)
        yield spec.name, flat.view(spec.shape)
