"""Run as a program, once per rank: drives DeepSpeedLearner through scenarios and writes what it found.

``python learner_ranks.py POLICY OUT SCENARIO...`` with RANK, WORLD_SIZE, ... in the environment.
"""

import dataclasses
import gc
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from learner_batches import first_two, make_batch, policy_config

from actors.cluster.engine_start import engine_start

with engine_start():  # as an actor does
    from ray_iqa.backends.deepspeed.learner import DeepSpeedLearner
    from ray_iqa.backends.weights.policy_weights import gathered, named_weights
from ray_iqa.config.learner import DeepSpeedLearnerConfig, LoraConfig
from ray_iqa.errors import ConfigError
from ray_iqa.policy.loss import TokenTerms
from ray_iqa.policy.row_builder import RowBuilder
from ray_iqa.types import TrainingBatch

STAGES = (0, 2, 3)
MICRO_BATCH_TOKENS = (110, 16_384)  # one group in each micro-batch; everything in one
PLAIN_PATH = 0
NUM_STEPS = 10
OFFLOADED = {"zero_stage": 3, "offload_optimizer": True, "offload_parameters": True}
LORA = {"lora": LoraConfig(rank=4, alpha=8)}
READINGS = {  # by number of ranks: checkpoints of the other number, and settings that read them
    1: {
        0: {"zero_stage": 2, "offload_optimizer": True},
        2: OFFLOADED,
        3: {"zero_stage": 0},
        "lora": {"zero_stage": 0} | LORA,
    },
    2: {0: {"zero_stage": 3}, "lora": OFFLOADED | LORA},
}
Tensors = dict[str, torch.Tensor]


class Scenarios:
    def __init__(self, policy: Path, out: Path) -> None:
        self.policy, self.out, self.batch = policy, out, make_batch(policy)
        self.small = first_two(self.batch)  # where it is about weights and counters, not about sums over groups
        self.num_ranks = int(os.environ["WORLD_SIZE"])
        self.stages = STAGES if self.num_ranks > 1 else STAGES[:1]  # one rank shards nothing

    def learner(self, dtype: str = "float32", **settings: object) -> DeepSpeedLearner:
        config = DeepSpeedLearnerConfig(**({"learning_rate": 1e-3, "num_threads": 1} | settings))
        return DeepSpeedLearner(policy_config(self.policy, dtype), config, num_steps=NUM_STEPS, seed=0)

    def gradients(self) -> object:
        """Reduced gradients before clipping."""
        found: dict[tuple[int, int], Tensors] = {}
        for stage in STAGES:
            for max_tokens in MICRO_BATCH_TOKENS:
                found[stage, max_tokens] = self._gradients(stage, max_tokens=max_tokens)
        found[0, PLAIN_PATH] = self._gradients(0, share_prefix=False)
        return found

    def qwen3_vl(self) -> object:
        """The other family: groups in one row with ZeRO-3, and one row per completion without."""
        other = Scenarios(self.policy / "qwen3_vl", self.out)
        return other._gradients(3), other._gradients(0, share_prefix=False)

    def local_counts(self) -> object:
        return {(stage, 110): self._gradients(stage, local_counts=True, max_tokens=110) for stage in self.stages}

    def _gradients(
        self,
        stage: int,
        *,
        local_counts: bool = False,
        max_tokens: int = 16_384,
        share_prefix: bool = True,
        batch: TrainingBatch | None = None,
    ) -> Tensors:
        from deepspeed.utils import safe_get_full_grad

        learner = self.learner(zero_stage=stage, max_tokens_per_micro_batch=max_tokens, share_prefix=share_prefix)
        reference = learner.gradients._reference
        # Away from the policy, or the KL would be at its minimum and have no gradient.
        learner.gradients._reference = lambda rows: (reference(rows)[0] + 0.3 * torch.sin(rows.targets.float()),)
        if local_counts:
            builder = learner._builder
            settings = {"scorer": builder.scorer, "share_prefix": builder.share_prefix, "device": builder.device}
            learner.gradients._builder = LocalCounts(**settings)
        metrics = learner.gradients.accumulate(batch or self.batch, None)[0]
        parameters = learner.engine.scorer.transformer.named_parameters()
        gradients = {name: safe_get_full_grad(parameter).clone() for name, parameter in parameters}
        norm, taken = learner.engine.step(0.0)
        return gradients | {"metrics": torch.tensor([*metrics.values()]), "norm": torch.tensor([norm, float(taken)])}

    def resume(self) -> object:
        """Four updates in one go, and two, save, a new learner, load, two more."""
        found = {}
        batches = [first_two(make_batch(self.policy, seed)) for seed in range(4)]
        cases = {stage: {"zero_stage": stage} for stage in self.stages} | {"lora": {"zero_stage": 2} | LORA}
        cases["bfloat16"] = {"dtype": "bfloat16", "zero_stage": 0}
        for case, settings in cases.items():
            whole = self.learner(**settings)
            metrics = [whole.update(batch).metrics for batch in batches]
            first = self.learner(**settings)
            for batch in batches[:2]:
                first.update(batch)
            torch.rand(7)
            first.save(self.out / f"checkpoint-{case}")
            drawn = torch.rand(3)
            second = self.learner(**settings)
            second.load(self.out / f"checkpoint-{case}")
            found[case] = {
                "generator": (drawn, torch.rand(3)),
                "metrics": (metrics[2:], [second.update(batch).metrics for batch in batches[2:]]),
                "weights": (weights_of(whole), weights_of(second)),
                "versions": (whole.policy_version, second.policy_version),
            }
        return found

    def other_layouts(self) -> object:
        """What two updates say after each checkpoint of `resume` with the other number of ranks."""
        found = {}
        for written, settings in READINGS[self.num_ranks].items():
            learner = self.learner(**settings)
            learner.load(self.out.parent / f"ranks-{3 - self.num_ranks}" / f"checkpoint-{written}")
            batches = [first_two(make_batch(self.policy, seed)) for seed in (2, 3)]
            found[written] = [learner.update(batch).metrics for batch in batches]
        return found

    def parts(self) -> object:
        """Which weights one update moves: everything, without vision, with adapters."""
        settings = {
            "all": {},
            "language_model": {"trained_part": "language_model"},
            "vision_tower": {"trained_part": "vision_tower", "zero_stage": 3},
            "lora": LORA,
            "lora_zero3": {"zero_stage": 3} | LORA,
            "lora_frozen": {"trained_part": "language_model"} | LORA,
        }
        found = {}
        for name, changes in settings.items():
            learner = self.learner(**({"zero_stage": 2, "learning_rate": 1e-2} | changes))
            before = weights_of(learner)
            updates = [learner.update(self.small).metrics for _ in range(2)]
            folder = self.out / f"export-{name}-{learner.engine.num_ranks}"
            learner.export(folder)
            found[name] = {
                "before": before,
                "after": weights_of(learner),
                "kl": [metrics["policy/kl"] for metrics in updates],
                "snapshot": learner.snapshot(20_000),
                "logprobs": learner.token_logprobs(self.batch.groups[0]),
                "export": folder,
            }
        return found

    def offload(self) -> object:
        """Weights before and after two updates, without offloading and with, in several micro-batches."""
        small = {"offload_optimizer": True, "max_tokens_per_micro_batch": 110}
        cases = {
            "nothing": {"zero_stage": 2},
            "optimizer": {"zero_stage": 2, **small},
            "parameters": {"zero_stage": 3, "offload_parameters": True, **small},
        }
        found = {}
        for name, settings in cases.items():
            learner = self.learner(learning_rate=1e-2, **settings)
            before = weights_of(learner)
            for _ in range(2):
                learner.update(self.small)
            found[name] = (before, weights_of(learner))
        return found

    def skips(self) -> object:
        """A NaN advantage, an empty step and a good one, beside the good one alone."""
        good = self.small.groups
        broken = dataclasses.replace(good[0], advantages=good[0].advantages * np.nan)
        bad = TrainingBatch(groups=(broken, *good[1:]), policy_version=0)
        empty = TrainingBatch(groups=(), policy_version=0)
        found = {}
        for stage in self.stages:
            learner, control = self.learner(zero_stage=stage), self.learner(zero_stage=stage)
            start = weights_of(learner)
            first = learner.update(bad)
            after_bad = weights_of(learner)
            metrics = [first.metrics, learner.update(empty).metrics, learner.update(self.small).metrics]
            control.update(self.small)
            found[stage] = {
                "skipped": [row["policy/skipped"] for row in metrics],
                "unchanged": (start, after_bad),
                "recovered": (weights_of(control), weights_of(learner)),
                "version": (first.policy_version, learner.policy_version),
            }
        return found

    def bfloat16(self) -> object:
        found = {}
        for stage in self.stages:
            learner = self.learner("bfloat16", zero_stage=stage, max_tokens_per_micro_batch=110)
            metrics = [learner.update(self.small).metrics for _ in range(2)]
            snapshot = learner.snapshot(20_000)
            dtypes = {spec.dtype for spec in snapshot.manifest} if snapshot else set()
            found[stage] = {"metrics": metrics, "dtypes": dtypes}
        return found

    def clipping(self) -> object:
        """The norm before clipping, and the largest change of a weight, with a bound above the norm and one below.

        Adam does not feel the gradient's scale until that is below its epsilon of 1e-8, as the bound here is.
        """
        found = {}
        for stage in self.stages:
            for max_grad_norm in (1e3, 1e-9):
                learner = self.learner(zero_stage=stage, max_grad_norm=max_grad_norm)
                before = weights_of(learner)
                norm = learner.update(self.small).metrics["policy/grad_norm"]
                change = max(float((value - before[name]).abs().max()) for name, value in weights_of(learner).items())
                found[stage, max_grad_norm] = (norm, change)
        return found

    def lost_image(self) -> object:
        """An image that is gone when it is learnt from, with and without company, and a batch that never had it."""
        groups = self.batch.groups
        gone = dataclasses.replace(groups[1], image_path="gone.png")
        lost = dataclasses.replace(self.batch, groups=(groups[0], gone, *groups[2:]))
        kept = dataclasses.replace(self.batch, groups=(groups[0], *groups[2:]))
        found = [self._gradients(3, batch=lost, max_tokens=110), self._gradients(0, batch=lost)]
        share = [sum(len(group.completions) for group in batch.groups) for batch in (kept, lost)]
        return found, self._gradients(0, batch=kept), share[0] / share[1]


class UpdateScenarios(Scenarios):
    """One call of `update`."""

    def several_updates(self) -> object:
        """Two passes of two mini-batches in one call; the same as calls of their own; and with a clip that acts."""
        no_clip = {"clip_low": 0.99, "clip_high": 1e3, "importance_cap": 1e6, "final_learning_rate_fraction": 1.0}
        four = {"updates_per_batch": 4, "passes_per_batch": 2}
        halves = [dataclasses.replace(self.batch, groups=self.batch.groups[first::2]) for first in (0, 1)]
        found = {}
        for stage in self.stages:
            together = self.learner(zero_stage=stage, **no_clip, **four)
            update = together.update(self.batch)
            alone = self.learner(zero_stage=stage, **no_clip)
            rows = [alone.update(half).metrics for half in halves * 2]
            clipped = self.learner(zero_stage=stage, learning_rate=1e-2, **four).update(self.batch)
            found[stage] = {
                "version": update.policy_version,
                "weights": (weights_of(together), weights_of(alone)),
                "grad_norm": (update.metrics["policy/grad_norm"], [row["policy/grad_norm"] for row in rows]),
                "clipped": clipped.metrics,
            }
        return found

    def changed_image(self) -> object:
        group = self.batch.groups[0]
        other = dataclasses.replace(group, prompt_token_ids=group.prompt_token_ids[:-1])
        try:
            self.learner(kl_coef=0.0, zero_stage=0).update(TrainingBatch(groups=(other,), policy_version=0))
        except ConfigError as error:
            return str(error)
        return ""


class LocalCounts(RowBuilder):
    """The mistake: every forward pass averages over its own responses."""

    def terms(self, groups, *arguments: object) -> TokenTerms:  # noqa: ANN001
        *others, weights = arguments
        return super().terms(groups, *others, weights / max(weights.sum(), 1e-9) / 5)  # five forward passes


def weights_of(learner: DeepSpeedLearner) -> Tensors:
    chunks = gathered(named_weights(learner.engine.scorer), 50_000, is_sharded=learner.engine.is_sharded)
    return {weight.name: value.clone() for chunk in chunks for weight, value in chunk}


if __name__ == "__main__":
    gc.freeze()  # each engine that starts collects garbage, which would go through all that was imported
    policy, out, *names = sys.argv[1:]
    scenarios = UpdateScenarios(Path(policy), Path(out))
    for scenario in names:
        began = time.perf_counter()
        result = getattr(scenarios, scenario)()
        sys.stderr.write(f"{scenario}: {time.perf_counter() - began:.1f} s\n")
        if torch.distributed.get_rank() == 0:
            torch.save(result, Path(out) / f"{scenario}.pt")
