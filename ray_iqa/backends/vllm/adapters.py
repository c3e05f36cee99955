"""A LoRA policy's adapters beside the base in a vLLM engine, so that no precision of theirs is lost in its weights."""

import itertools
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args, get_type_hints

from safetensors.torch import save_file

from ray_iqa.backends.vllm.working_engine import WorkingEngine
from ray_iqa.backends.weights.install import shared_memory
from ray_iqa.backends.weights.manifest import factor_tensors
from ray_iqa.config.learner import LoraConfig
from ray_iqa.errors import ConfigError
from ray_iqa.types import WeightSnapshot

_numbers = itertools.count(1)  # vLLM takes an adapter whose number it knows for loaded


def engine_arguments(lora: LoraConfig | None) -> dict[str, Any]:  # Any: vLLM's arguments
    """What an engine is started with so that it takes adapters, the vision tower's among them; nothing without any."""
    if lora is None:
        return {}
    from vllm.config import LoRAConfig

    ranks = get_args(get_type_hints(LoRAConfig)["max_lora_rank"])
    return {
        "enable_lora": True,
        "max_loras": 1,
        "max_lora_rank": min(rank for rank in ranks if rank >= lora.rank),
        "enable_tower_connector_lora": True,
    }


@contextmanager
def lora_refusals_named() -> Iterator[None]:
    """What vLLM says about a model whose adapters it cannot run is a `ConfigError` with the way out."""
    try:
        yield
    except Exception as error:
        if "lora" not in str(error).lower():
            raise
        raise ConfigError(f"learner.lora.merge_for_sampling must be true for this model, vLLM says: {error}") from error


def load_adapters(engine: WorkingEngine, snapshot: WeightSnapshot) -> None:
    """Let the engine answer with the adapters of a snapshot from the next request on; whatever vLLM raises is raised.

    They go through a folder in peft's format, which vLLM may read as long as they are used.
    """
    from vllm.lora.request import LoRARequest

    number = next(_numbers)
    folder = tempfile.TemporaryDirectory(dir=shared_memory(), prefix="ray-iqa-adapters-")
    _write(Path(folder.name), snapshot)
    request = LoRARequest(f"adapters-{number}", number, folder.name)
    engine.llm.llm_engine.add_lora(request)
    if engine.adapters is not None:
        engine.llm.llm_engine.remove_lora(engine.adapters.lora_int_id)
    engine.adapters, engine.adapters_folder = request, folder


def _write(folder: Path, snapshot: WeightSnapshot) -> None:
    tensors, modules, rank = {}, set(), 0
    for name, tensor in factor_tensors(snapshot):
        weight, _, factor = name.rpartition(".")
        module = weight.removesuffix(".weight")
        tensors[f"base_model.model.{module}.{factor}.weight"] = tensor
        modules.add(module.rpartition(".")[2])
        rank = tensor.shape[0] if factor == "lora_A" else rank
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": snapshot.lora_scaling * rank,
        "target_modules": sorted(modules),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
