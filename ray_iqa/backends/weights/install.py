"""Weights into a vLLM engine, in place: a snapshot from the object store, or a folder."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ray_iqa.backends.weights.manifest import snapshot_tensors
from ray_iqa.errors import WeightTransferError
from ray_iqa.types import WeightSnapshot


def load_snapshot(llm: Any, snapshot: WeightSnapshot) -> None:  # noqa: ANN401 - vllm is untyped
    """Replace all weights of the engine through vLLM's layer-wise reload, which re-packs them as at start-up.

    An engine of one worker reads the snapshot's memory itself; several workers (tensor parallel) map one file in
    shared memory. Caches still hold what the old weights computed: call `reset_caches` before the next request.

    Raises:
        WeightTransferError: the engine failed; until a later call succeeds it must not answer requests.
    """
    try:
        settle_reload(llm)
        if llm.llm_engine.vllm_config.parallel_config.world_size == 1:
            llm.collective_rpc(_reload, args=(snapshot,))
            return
        with tempfile.NamedTemporaryFile(dir=_shared_memory()) as file:
            for value in snapshot.values:
                value.tofile(file)
            file.flush()
            sizes = [value.nbytes for value in snapshot.values]
            hollow = replace(snapshot, values=(), canary=None)
            llm.collective_rpc(_reload_from_file, args=(hollow, sizes, file.name))
    except WeightTransferError:
        raise
    except Exception as error:  # whatever a layer's loader trips over
        raise WeightTransferError(
            f"vLLM did not take over policy version {snapshot.policy_version}: {error}; "
            "install it again or replace the engine"
        ) from error


class FolderInstall:
    """A method for vLLM's workers, by its extension point; see `AnswerEngine.install`."""

    def install_folder(self, folder: str) -> None:
        """Replace all weights of this worker by those of a model folder."""
        self.reload_weights(weights_path=folder)  # type: ignore[attr-defined]  # of the worker that it becomes part of
        _repack_output_head(self)


def settle_reload(llm: Any) -> None:  # noqa: ANN401 - vllm is untyped
    """Close an update that broke off, so that the next one starts from zero; does nothing after a whole one.

    vLLM's reload counts the elements that each layer has received, and would go on counting: a fused layer of which
    one half had arrived would take the first half twice and never see the second.
    """
    llm.collective_rpc(_settle_reload)


def repack_output_head(llm: Any) -> None:  # noqa: ANN401 - vllm is untyped
    """Let an output head that is tied to the embeddings see their new values.

    On a CPU vLLM multiplies with a repacked copy of the head, and its reload forgets the copy of a tied one. On a GPU
    the head reads the embeddings' own memory and this does nothing.
    """
    llm.collective_rpc(_repack_output_head)


def reset_caches(llm: Any) -> None:  # noqa: ANN401 - vllm is untyped
    """Drop everything computed with the old weights: KV prefixes, processed images, vision features.

    Without the last, an image seen before keeps the features of the old vision tower.

    Raises:
        WeightTransferError: requests are still running, so the prefixes could not be dropped.
    """
    if not llm.reset_prefix_cache():
        raise WeightTransferError("the prefix cache was not reset: weights must be installed while no request runs")
    llm.reset_mm_cache()
    llm.llm_engine.reset_encoder_cache()


def _reload(worker: Any, snapshot: WeightSnapshot) -> None:  # noqa: ANN401 - vllm is untyped
    worker.reload_weights(weights_iterator=snapshot_tensors(snapshot, worker.device))


def _reload_from_file(worker: Any, hollow: WeightSnapshot, sizes: list[int], path: str) -> None:  # noqa: ANN401 - vllm
    whole = np.memmap(path, np.uint8, mode="r")
    _reload(worker, replace(hollow, values=tuple(np.split(whole, np.cumsum(sizes)[:-1]))))


def _settle_reload(worker: Any) -> None:  # noqa: ANN401 - vllm is untyped
    from vllm.config import set_current_vllm_config
    from vllm.model_executor.model_loader.reload import finalize_layerwise_reload

    with set_current_vllm_config(worker.vllm_config):
        finalize_layerwise_reload(worker.get_model(), worker.model_config)


def _repack_output_head(worker: Any) -> None:  # noqa: ANN401 - vllm is untyped
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead, UnquantizedEmbeddingMethod

    for module in worker.get_model().modules():
        if isinstance(module, ParallelLMHead) and isinstance(module.quant_method, UnquantizedEmbeddingMethod):
            module.quant_method.process_weights_after_loading(module)


def _shared_memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
