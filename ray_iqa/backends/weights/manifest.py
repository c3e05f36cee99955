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
_DOWN, _UP = "lora_A", "lora_B"  # endings of an adapter's factors


def expected_parameters(policy: PolicyConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter as the transformers model of ``policy`` has them; tied ones appear once.

    No weights are read or allocated.
    """
    config = AutoConfig.from_pretrained(policy.model, revision=policy.revision)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)  # type: ignore[no-untyped-call]
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def check_manifest(manifest: Sequence[TensorSpec], expected: Shapes, *, adapters_alone: bool = False) -> None:
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
    plain = {name for name in shapes if not _is_factor(name)}
    check_coverage(plain, {} if adapters_alone else expected)
    for spec in manifest:
        torch_dtype(spec)
        if _is_factor(spec.name):
            _check_adapter(spec.name.rpartition(".")[0], shapes, expected)
        elif tuple(spec.shape) != tuple(expected[spec.name]):
            raise WeightTransferError(
                f"{spec.name} must have shape {tuple(expected[spec.name])}, the snapshot has {tuple(spec.shape)}"
            )


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


def merged(weight: torch.Tensor, down: torch.Tensor, up: torch.Tensor, scaling: float) -> torch.Tensor:
    """``weight + scaling * up @ down`` [O, I], computed in float32, in the dtype of ``weight``.

    Args:
        weight: [O, I].
        down: lora_A [R, I].
        up: lora_B [O, R].
        scaling: alpha / R.
    """
    return torch.addmm(weight.float(), up.float(), down.float(), alpha=scaling).to(weight.dtype)


def snapshot_tensors(
    snapshot: WeightSnapshot, device: torch.device | str | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """Every parameter as a view of the snapshot's memory; one with an adapter is merged, on ``device``.

    The views must not be written to: it may be memory that other processes read too.

    Raises:
        WeightTransferError: a parameter has fewer or more bytes than its shape and dtype say, or none at all.
    """
    factors = dict(factor_tensors(snapshot))
    for name, view in _views(snapshot, factors=False):
        if f"{name}.{_DOWN}" not in factors:
            yield name, view
            continue
        down, up = factors[f"{name}.{_DOWN}"], factors[f"{name}.{_UP}"]
        yield name, merged(view.to(device), down.to(device), up.to(device), snapshot.lora_scaling)


def factor_tensors(snapshot: WeightSnapshot) -> Iterator[tuple[str, torch.Tensor]]:
    """The factors of all adapters as views of the snapshot's memory; raises as `snapshot_tensors`."""
    return _views(snapshot, factors=True)


def _views(snapshot: WeightSnapshot, *, factors: bool) -> Iterator[tuple[str, torch.Tensor]]:
    """Factors of adapters, or all other parameters; what has not the right size is found when its turn comes."""
    if len(snapshot.values) != len(snapshot.manifest):
        raise WeightTransferError(
            f"a snapshot must hold the {len(snapshot.manifest)} values of its manifest, it holds {len(snapshot.values)}"
        )
    for spec, value in zip(snapshot.manifest, snapshot.values, strict=True):
        if _is_factor(spec.name) != factors:
            continue
        dtype = torch_dtype(spec)
        num_bytes = math.prod(spec.shape) * dtype.itemsize
        if value.nbytes != num_bytes:
            raise WeightTransferError(f"{spec.name} must have {num_bytes} bytes, the snapshot has {value.nbytes}")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given buffer is not writable")
            flat = torch.frombuffer(value, dtype=dtype)
        yield spec.name, flat.view(spec.shape)


def _is_factor(name: str) -> bool:
    return name.endswith((_DOWN, _UP))


def _check_adapter(name: str, shapes: Shapes, expected: Shapes) -> None:
    down, up = (tuple(shapes.get(f"{name}.{factor}", ())) for factor in (_DOWN, _UP))
    weight = tuple(expected.get(name, ()))
    if not (len(weight) == len(down) == len(up) == 2 and weight == (up[0], down[1]) and up[1] == down[0]):
        raise WeightTransferError(
            f"an adapter of {name} must change a matrix [O, I] by {_UP} [O, R] and {_DOWN} [R, I], "
            f"got {weight or 'no such weight'}, {up or 'none'} and {down or 'none'}"
        )
