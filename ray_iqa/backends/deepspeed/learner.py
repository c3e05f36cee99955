"""One rank of the learner on DeepSpeed.

Every public method is called on all ranks in the same order. A step's result depends neither on the number
of ranks nor on the size of micro-batches (dropout in adapters excepted: each rank draws its own).
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

from ray_iqa.backends.deepspeed.config import deepspeed_config, reference_config
from ray_iqa.backends.deepspeed.engine import DeepSpeedEngine, frozen_engine, join_process_group, sharded_loading
from ray_iqa.backends.deepspeed.rank_checkpoint import is_needed, load_rank, save_rank
from ray_iqa.backends.deepspeed.step_gradients import StepGradients
from ray_iqa.backends.profiling import TracedCall
from ray_iqa.backends.weights.canary import FIRST_ANSWER, MAX_TOKENS, canary_picture
from ray_iqa.backends.weights.policy_weights import (
    NamedWeight,
    adapter_weights,
    base_weights,
    gathered,
    host_bytes,
    manifest_of,
    named_weights,
)
from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.grpo.batch import mini_batches
from ray_iqa.grpo.idle_steps import not_finite
from ray_iqa.policy.group_encoding import encode_group
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.policy.learning_rate import learning_rate_at
from ray_iqa.policy.loading import load_policy, load_reference, why_prompts_run_alone
from ray_iqa.policy.row_builder import RowBuilder
from ray_iqa.policy.token_rows import EncodedGroup
from ray_iqa.seeds import derive_seed
from ray_iqa.types import Canary, LearnerUpdate, TensorSpec, TrainingBatch, TrainingGroup, WeightSnapshot

_EXPORT_CHUNK_BYTES = 512 * 2**20


class DeepSpeedLearner:
    """Owns the policy, the reference policy and the optimizer, or this rank's shards of them."""

    def __init__(self, policy: PolicyConfig, learner: DeepSpeedLearnerConfig, *, num_steps: int, seed: int) -> None:
        """RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT must be in the environment.

        Raises:
            ConfigError: the model cannot be loaded.
        """
        if learner.num_threads is not None:
            torch.set_num_threads(learner.num_threads)
        self._config, self._num_updates = learner, num_steps * learner.updates_per_batch
        device = join_process_group()
        self.inputs = PolicyInputs(policy)
        torch.manual_seed(seed)  # adapters start equal on all ranks
        config = deepspeed_config(policy, learner)
        with sharded_loading(config):
            scorer = load_policy(policy, learner)
            reference = load_reference(policy) if learner.kl_coef > 0 and learner.lora is None else None
        self.engine = DeepSpeedEngine(scorer, config)
        frozen = None if reference is None else frozen_engine(reference, reference_config(policy, learner), device)
        self.remark = why_prompts_run_alone(scorer) if learner.share_prefix else None
        """What somebody who watches the run should know, or None."""
        shared = learner.share_prefix and scorer.can_share_prompts
        self._builder = RowBuilder(scorer=scorer, share_prefix=shared, device=device)
        self.gradients = StepGradients(self.engine, frozen, self.inputs, self._builder, learner)
        self._rank = torch.distributed.get_rank()
        torch.manual_seed(derive_seed(seed, self._rank))
        self._policy_version = 0
        self._canary_answer = self.inputs.encode_answer(FIRST_ANSWER)
        self._traced_call = TracedCall(learner.profile if self._rank == 0 else None, number=3)

    @property
    def policy_version(self) -> int:
        """Number of updates so far."""
        return self._policy_version

    def update(self, batch: TrainingBatch) -> LearnerUpdate:
        """Take ``updates_per_batch`` optimizer updates; see `protocols.Learner.update`.

        An empty batch, or a loss or gradient that is not finite, leaves the policy and its version as they are and
        counts as ``policy/skipped``. The learning rate follows the number of updates. Metrics are means over the
        updates, but the largest where their names end with ``_max``.

        Raises:
            ConfigError: an image is another one than was sampled.
        """
        began = time.perf_counter()
        metrics = {"policy/learning_rate": self._learning_rate(), "policy/skipped": 1.0}
        problems: list[str] = []
        if batch.groups:
            answers = [answer for group in batch.groups for answer in group.completions if len(answer)]
            self._canary_answer = min(answers, key=len, default=self._canary_answer)[:MAX_TOKENS]
            with self._traced_call():
                metrics |= self._updates(batch, problems)
        torch.cuda.empty_cache()  # an engine on the same GPU wakes up next; nothing happens on a CPU
        metrics["learner/seconds"] = seconds = time.perf_counter() - began
        num_tokens = sum(len(group.prompt_token_ids) + sum(map(len, group.completions)) for group in batch.groups)
        metrics["learner/tokens_per_second"] = num_tokens / seconds
        return LearnerUpdate(
            policy_version=self._policy_version, metrics=metrics, problems=tuple(dict.fromkeys(problems))
        )

    def _learning_rate(self) -> float:
        """Of the next update."""
        return learning_rate_at(self._policy_version + 1, self._config, self._num_updates)

    def _updates(self, batch: TrainingBatch, problems: list[str]) -> dict[str, float]:
        """Take all updates on the batch; adds to ``problems`` why images added nothing."""
        passes = self._config.passes_per_batch
        parts = mini_batches(batch, self._config.updates_per_batch // passes)
        # The old policy is the present one where an answer is first used before any update on this batch.
        is_present = [passes == 1 and number == 0 for number in range(len(parts))]
        old = [None if now else self.gradients.logprobs(part) for now, part in zip(is_present, parts, strict=True)]
        rows = []
        for part, its_old in list(zip(parts, old, strict=True)) * passes:
            learning_rate = self._learning_rate()
            row, lost = self.gradients.accumulate(part, its_old)
            row["policy/grad_norm"], taken = self.engine.step(learning_rate)
            self._policy_version += taken
            rows.append(row | {"policy/learning_rate": learning_rate, "policy/skipped": float(not taken)})
            problems += lost
        metrics = {name: (max if name.endswith("_max") else fmean)([row[name] for row in rows]) for name in rows[0]}
        return metrics | {"policy/lost_images": sum(row["policy/lost_images"] for row in rows) / passes}

    def token_logprobs(self, group: TrainingGroup) -> tuple[NDArray[np.float32], ...]:
        """The policy's log-probabilities [T_k] of each completion's tokens, at temperature 1."""
        return self._logprobs(encode_group(self.inputs, group))

    def _logprobs(self, group: EncodedGroup) -> tuple[NDArray[np.float32], ...]:
        rows = self._builder.rows([group])
        scorer = self.engine.scorer.eval()  # no dropout
        with torch.no_grad():
            logprobs: torch.Tensor = scorer(rows)[0]
        scorer.train()
        return tuple(part.cpu().numpy() for part in torch.split(logprobs, list(rows.lengths)))

    def canary(self) -> Canary:
        """A short answer that the policy gave in the newest batch, with its log-probabilities about a fixed picture.

        Raises:
            ConfigError: they are not finite; a DivergedError where updates made them so.
        """
        prompt = self.inputs.encode(canary_picture())
        answer = self._canary_answer
        [logprobs] = self._logprobs(EncodedGroup(prompt=prompt, completions=(answer,)))
        if not np.isfinite(logprobs).all():
            raise not_finite(self._policy_version).error("the policy cannot answer")
        token_ids = prompt.token_ids.numpy().astype(np.int32)
        return Canary(prompt_token_ids=token_ids, token_ids=answer, logprobs=logprobs)

    def snapshot(self, chunk_bytes: int, *, adapters_alone: bool = False) -> WeightSnapshot | None:
        """Every parameter in ``policy.dtype``, adapters beside their base; on rank 0, None elsewhere.

        Frozen ones too: the engine fuses matrices (query, key and value) that adapters may train in part, and a
        whole model is what a manifest can prove.

        Args:
            chunk_bytes: with ZeRO-3, at most this much is whole at a time (or one larger parameter).
            adapters_alone: without their base, for engines that have it.
        """
        scorer = self.engine.scorer
        base = [] if adapters_alone else base_weights(scorer)
        return self._pack([*base, *adapter_weights(scorer)], chunk_bytes, self.canary())

    def manifest(self) -> tuple[TensorSpec, ...]:
        """Every parameter by its transformers name, adapters merged."""
        return manifest_of(named_weights(self.engine.scorer))

    def weight_chunks(self, chunk_bytes: int) -> Iterator[list[tuple[str, torch.Tensor]]]:
        """The manifest's parameters, whole and on this rank's device, for a broadcast; all ranks iterate to the end."""
        for chunk in gathered(named_weights(self.engine.scorer), chunk_bytes, is_sharded=self.engine.is_sharded):
            yield [(weight.name, value) for weight, value in chunk]

    def save(self, folder: Path) -> None:
        """Write this rank's part of a checkpoint: model, optimizer, random generators, policy version."""
        save_rank(self.engine, folder, self._policy_version)

    def load(self, folder: Path) -> None:
        """Continue where `save` was called, exactly with the same number of ranks and ZeRO stage, else by rounding.

        Raises:
            CheckpointError: something that is trained is missing.
        """
        self._policy_version = load_rank(self.engine, folder)

    def reads(self, name: str) -> bool:
        """Whether this rank needs a file of a checkpoint, by its path in the folder, for `load`."""
        return is_needed(self.engine, name)

    def export(self, folder: Path) -> None:
        """Write a plain Hugging Face folder, adapters merged: safetensors, configuration, processor, tokenizer.

        A LoRA policy has its adapters in the folder ``adapter`` there too, as peft writes them.
        """
        scorer = self.engine.scorer
        state = self._whole(named_weights(scorer))
        adapters = self._whole(adapter_weights(scorer))
        if self._rank == 0:
            scorer.transformer.save_pretrained(folder, state_dict=state, save_original_format=False)
            self.inputs.save(folder)
            if adapters:
                names = [name for name, _ in scorer.model.named_parameters() if ".lora_" in name]
                spelled = dict(zip(names, adapters.values(), strict=True))
                scorer.model.save_pretrained(folder / "adapter", state_dict=spelled, save_embedding_layers=False)
        torch.distributed.barrier()

    def _whole(self, weights: Sequence[NamedWeight]) -> dict[str, torch.Tensor]:
        """By name, in host memory of rank 0."""
        whole: dict[str, torch.Tensor] = {}
        for chunk in gathered(weights, _EXPORT_CHUNK_BYTES, is_sharded=self.engine.is_sharded):
            if self._rank == 0:
                whole |= {weight.name: value.cpu().clone() for weight, value in chunk}
        return whole

    def _pack(self, weights: Sequence[NamedWeight], chunk_bytes: int, canary: Canary) -> WeightSnapshot | None:
        sharded = self.engine.is_sharded
        chunks = gathered(weights, chunk_bytes, is_sharded=sharded)
        if self._rank > 0:
            for _ in chunks if sharded else ():  # gathering needs every rank
                pass
            return None
        lora = self._config.lora
        return WeightSnapshot(
            policy_version=self._policy_version,
            manifest=manifest_of(weights),
            values=tuple(host_bytes(value, lasting=not sharded) for chunk in chunks for _, value in chunk),
            canary=canary,
            lora_scaling=lora.alpha / lora.rank if lora else 0.0,
        )
