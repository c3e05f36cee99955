"""The other side of benchmarks/learner.py: TRL's GRPOTrainer, which lives in a virtualenv of its own.

    python learner_trl.py POLICY BATCH THREADS

Holds one trainer and one batch that is already preprocessed and on hand. For every line on standard input it takes one
optimizer step, GRPOTrainer's own `training_step`, clipping and AdamW, and answers with its seconds and gradient norm.
"""

import sys
import tempfile
import time
from collections.abc import Callable

import torch
from datasets import Dataset
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import GRPOConfig, GRPOTrainer


def main() -> None:
    """Answer lines until there are no more."""
    policy, batch_file, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    batch = torch.load(batch_file)
    rows, tokens = batch["completion_ids"].shape
    trainer = build_trainer(policy, rows=rows, completions=rows, tokens=tokens, reward=nothing)
    trainer._buffered_inputs = [batch]  # instead of what it would generate
    trainer.num_iterations = 2**31  # one batch is good for all steps
    trainer._step = 1
    trainer.current_gradient_accumulation_steps = 1
    optimizer = trainer.create_optimizer()
    trainer.model.train()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        began = time.perf_counter()
        trainer.training_step(trainer.model, batch, None)
        norm = torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), trainer.args.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        sys.stdout.write(f"{time.perf_counter() - began} {float(norm)}\n")
        sys.stdout.flush()


def nothing(completions: list[object], **_: object) -> list[float]:
    """A reward that is never asked for."""
    return [0.0] * len(completions)


def build_trainer(
    policy: str,
    *,
    rows: int,
    completions: int,
    tokens: int,
    reward: Callable[..., list[float]],
    **sampling: object,
) -> GRPOTrainer:
    """The settings of our side: float32, sdpa, no KL, no gradient checkpointing, mean over tokens, then responses.

    ``rows`` of ``tokens`` in a batch, ``completions`` of them per picture; ``sampling`` are settings of GRPOConfig.
    """
    config = GRPOConfig(
        output_dir=tempfile.gettempdir(),
        use_cpu=True,
        bf16=False,
        report_to=[],
        per_device_train_batch_size=rows,
        num_generations=completions,
        max_completion_length=tokens,
        loss_type="grpo",
        beta=0.0,
        learning_rate=1e-6,
        gradient_checkpointing=False,
        disable_dropout=False,
        **sampling,
    )
    model = AutoModelForImageTextToText.from_pretrained(policy, dtype=torch.float32, attn_implementation="sdpa")
    return GRPOTrainer(
        model=model,
        reward_funcs=reward,
        args=config,
        train_dataset=Dataset.from_list([{"prompt": "never asked"}]),
        processing_class=AutoProcessor.from_pretrained(policy),
    )


if __name__ == "__main__":
    main()
