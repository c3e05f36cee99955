"""Starts and runs vLLM engines; the only file that knows vLLM's engine arguments."""

import gc
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from transformers import AutoConfig

from ray_iqa.backends.compat.compiler import without_compiler
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.errors import ConfigError

_CPU_BATCHED_TOKENS = 8192


def start_engine(
    policy: PolicyConfig,
    rollout: VllmRolloutConfig,
    mm_processor_kwargs: dict[str, Any],
    others: Mapping[str, Any] | None = None,  # Any: vLLM's arguments
) -> Any:  # noqa: ANN401 - vllm is imported here and untyped
    """Start an engine inside this process and return vLLM's `LLM`.

    Log-probabilities are those of the full softmax at temperature 1, whatever the sampling temperature and bans.

    Args:
        policy: model folder or hub name, and the dtype of its weights.
        rollout: engine settings; those for GPUs are ignored on a CPU and the other way round.
        mm_processor_kwargs: image size limits as the model's image processor spells them.
        others: further arguments of vLLM's engine.
    """
    # The engine core shares our process: weights are handed over as views, and an error is an exception here.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    _set_environment()
    if rollout.num_threads is not None:
        torch.set_num_threads(rollout.num_threads)

    with _compiler_if_used(rollout):
        from vllm import LLM
        from vllm.v1.worker import gpu_model_runner  # noqa: F401 - would come later; CPU workers derive from it

    if not gc.get_freeze_count():  # a later engine must not keep the garbage of the one before
        gc.freeze()  # vLLM collects garbage five times in a start, each time through the million objects of its imports
    # It warns in every update of modules that have no weights; what an update must hold is checked by name.
    logging.getLogger("vllm.model_executor.model_loader.reload.layerwise").setLevel(logging.ERROR)
    set_num_threads = torch.set_num_threads
    # Inside a placement group vLLM would choose Ray, which wants a bundle per GPU; ours hold a whole engine.
    executor = {} if rollout.tensor_parallel_size == 1 else {"distributed_executor_backend": "mp"}
    llm = LLM(**_arguments(policy, rollout, mm_processor_kwargs), **executor, **(others or {}))
    # vLLM's CPU worker replaces it by a warning, and then calls it once per image.
    torch.set_num_threads = set_num_threads
    return llm


def start_async_engine(
    policy: PolicyConfig,
    rollout: VllmRolloutConfig,
    mm_processor_kwargs: dict[str, Any],
    stat_loggers: Sequence[Any],  # Any: vLLM's own classes
) -> Any:  # noqa: ANN401 - vllm is imported here and untyped
    """Start vLLM's asynchronous engine, whose core is a process of its own, and return its `AsyncLLM`.

    An answer depends on its request alone: on a GPU vLLM's batch-invariant kernels are on unless the environment
    variable VLLM_BATCH_INVARIANT says otherwise. With ``tensor_parallel_size`` above 1 all GPUs must be this node's.
    """
    _set_environment()
    if rollout.num_threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(rollout.num_threads)

    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.platforms import current_platform
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    if not current_platform.is_cpu():
        os.environ.setdefault("VLLM_BATCH_INVARIANT", "1")
    # Named as a class: on a CPU vLLM would start one more process, to bind threads, which are not bound here.
    backend = UniProcExecutor if rollout.tensor_parallel_size == 1 else "mp"
    arguments = AsyncEngineArgs(
        **_arguments(policy, rollout, mm_processor_kwargs),
        distributed_executor_backend=backend,
        worker_extension_cls="ray_iqa.backends.weights.install.FolderInstall",
    )
    with _compiler_if_used(rollout):  # by the core
        return AsyncLLM.from_engine_args(arguments, stat_loggers=list(stat_loggers))


def _set_environment() -> None:
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")  # several engines may share the cores


def _compiler_if_used(rollout: VllmRolloutConfig) -> AbstractContextManager[None]:
    """On a CPU, an engine that is to be eager compiles nothing at all, not even the counting of a token's rank."""
    from vllm.platforms import current_platform

    return without_compiler() if current_platform.is_cpu() and rollout.enforce_eager else nullcontext()


def _has_linear_attention(policy: PolicyConfig) -> bool:
    config = AutoConfig.from_pretrained(policy.model, revision=policy.revision).get_text_config()
    return "linear_attention" in (getattr(config, "layer_types", None) or ())


def _arguments(
    policy: PolicyConfig, rollout: VllmRolloutConfig, mm_processor_kwargs: dict[str, Any]
) -> dict[str, Any]:  # Any: vLLM's arguments
    from vllm.platforms import current_platform

    settings = _cpu_settings(rollout) if current_platform.is_cpu() else _gpu_settings(rollout)
    return {
        "model": policy.model,
        "revision": policy.revision,
        "tokenizer_revision": policy.revision,
        "dtype": policy.dtype,
        "generation_config": "vllm",  # nothing from the model's own generation defaults
        "logprobs_mode": "raw_logprobs",
        "limit_mm_per_prompt": {"image": 1, "video": 0},
        "mm_processor_kwargs": mm_processor_kwargs or None,
        "mm_device_do_normalize": False,  # bitwise the learner's pixels; fused into the model they are only close
        "max_model_len": rollout.max_model_len,
        "max_num_seqs": rollout.max_num_seqs,
        "tensor_parallel_size": rollout.tensor_parallel_size,
        # K completions share their prompt; the state of linear attention is no cache of tokens that could be shared.
        "enable_prefix_caching": not _has_linear_attention(policy),
        "enforce_eager": rollout.enforce_eager,
        **settings,
    }


def _cpu_settings(rollout: VllmRolloutConfig) -> dict[str, Any]:
    # Seeded requests crash on a CPU when a prompt is prefilled in chunks, so a whole prompt has to fit one batch.
    return {
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(_CPU_BATCHED_TOKENS, rollout.max_model_len),
        "kv_cache_memory_bytes": int(rollout.kv_cache_gib * 2**30),
    }


def _gpu_settings(rollout: VllmRolloutConfig) -> dict[str, Any]:
    return {
        "gpu_memory_utilization": rollout.gpu_memory_utilization,
        "enable_sleep_mode": rollout.sleep_when_idle,
    }


@contextmanager
def refusals_named() -> Iterator[None]:
    """What vLLM says about a request that it does not take is a `ConfigError`."""
    from vllm.exceptions import VLLMClientError

    try:
        yield
    except (VLLMClientError, ValueError, MemoryError) as error:
        raise ConfigError(f"vLLM refused a request: {error}") from error
