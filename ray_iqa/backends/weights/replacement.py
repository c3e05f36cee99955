"""Other weights of the same model for a running engine: found, and compared before anything touches the engine."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig

from ray_iqa.backends.weights.manifest import expected_parameters
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.errors import ConfigError
from ray_iqa.policy.inputs import PolicyInputs

_SAYS_NOTHING = {"transformers_version", "dtype", "torch_dtype", "use_cache"}  # of how the model computes
_ADVICE = "name it in the application's arguments instead, which restarts the replicas"


def replacement_folder(running: PolicyConfig, inputs: PolicyInputs, wanted: PolicyConfig) -> Path:
    """The folder of ``wanted``, downloaded if it is a hub name, once it is known to fit the engine of ``running``.

    Raises:
        ConfigError: it cannot be found, has another architecture, tokenizer, image processor or chat template, or
            lacks weights.
    """
    folder = _local(wanted)
    local = wanted.model_copy(update={"model": str(folder), "revision": None})
    new_inputs = PolicyInputs(local)  # says what is wrong with a folder that is no model
    if difference := _first_difference(_architecture(running), _architecture(local), ""):
        raise ConfigError(f"{wanted.model} must have the running model's architecture, {difference} differs; {_ADVICE}")
    if not inputs.reads_as(new_inputs):
        raise ConfigError(
            f"{wanted.model} must have the running model's tokenizer, image processor and chat template; {_ADVICE}"
        )
    missing = Counter(expected_parameters(local).values()) - Counter(_shapes(folder))
    if missing:
        raise ConfigError(
            f"{wanted.model} must hold all weights of its architecture, {missing.total()} are missing, "
            f"one of them of shape {list(min(missing))}; copy the whole folder"
        )
    return folder


def _local(policy: PolicyConfig) -> Path:
    if Path(policy.model).is_dir():
        return Path(policy.model)
    try:
        return Path(snapshot_download(policy.model, revision=policy.revision, ignore_patterns=["*.bin", "*.pth"]))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"model must be a folder that every replica sees, or a hub name, got {policy.model!r}: {error}"
        ) from error


def _architecture(policy: PolicyConfig) -> dict[str, Any]:  # Any: values of config.json
    return AutoConfig.from_pretrained(policy.model, revision=policy.revision).to_dict()


def _first_difference(one: Any, other: Any, where: str) -> str | None:  # noqa: ANN401 - values of config.json
    """Dotted name of a key that differs and matters."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return None if one == other else where
    keys = {key for key in one.keys() | other.keys() if not str(key).startswith("_")} - _SAYS_NOTHING
    found = (_first_difference(one.get(key), other.get(key), f"{where}.{key}".lstrip(".")) for key in sorted(keys))
    return next(filter(None, found), None)


def _shapes(folder: Path) -> Iterator[tuple[int, ...]]:
    """Of all tensors; only the headers of the files are read, and their lengths compared with what they announce."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "pt") as file:
                yield from (tuple(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - it is no mapping
        except SafetensorError as error:
            raise ConfigError(f"{path} must be a whole safetensors file: {error}") from error
