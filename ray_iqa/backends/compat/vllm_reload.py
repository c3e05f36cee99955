"""What vLLM's weight reload leaves undone (0.32 to 0.33, ``vllm.model_executor.model_loader.reload``).

To be removed when vLLM's own tests cover a reload that broke off and, on a CPU, one of a model with tied embeddings;
tests/backends/test_weight_install.py fails without either.
"""

from typing import Any


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
    llm.collective_rpc(repack_worker_output_head)


def repack_worker_output_head(worker: Any) -> None:  # noqa: ANN401 - vllm is untyped
    """`repack_output_head` of one worker, in its process."""
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead, UnquantizedEmbeddingMethod

    for module in worker.get_model().modules():
        if isinstance(module, ParallelLMHead) and isinstance(module.quant_method, UnquantizedEmbeddingMethod):
            module.quant_method.process_weights_after_loading(module)


def _settle_reload(worker: Any) -> None:  # noqa: ANN401 - vllm is untyped
    from vllm.config import set_current_vllm_config
    from vllm.model_executor.model_loader.reload import finalize_layerwise_reload

    with set_current_vllm_config(worker.vllm_config):
        finalize_layerwise_reload(worker.get_model(), worker.model_config)
