"""Weights into a vLLM engine, in place: a snapshot from the object store, or a folder."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ray_iqa.backends.compat.vllm_reload import repack_worker_output_head, settle_reload
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
        with tempfile.NamedTemporaryFile(dir=shared_memory()) as file:
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
        repack_worker_output_head(self)


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


def shared_memory() -> str | None:
    """Folder of files that stay in memory, None where there is none."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
