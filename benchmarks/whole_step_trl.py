"""The other side of benchmarks/whole_step.py: TRL's GRPOTrainer, which lives in a virtualenv of its own.

    python whole_step_trl.py POLICY TASK

For every line on standard input it takes one whole step: GRPOTrainer's own `training_step`, which samples with
`generate`, then clipping and AdamW, and answers with its seconds and gradient norm.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from learner_trl import build_trainer
from PIL import Image


def main() -> None:
    """Answer lines until there are no more."""
    policy, task_file = sys.argv[1:]
    task = json.loads(Path(task_file).read_text())
    torch.set_num_threads(task["threads"])
    trainer = build_trainer(
        policy,
        rows=len(task["images"]) * task["completions"],
        completions=task["completions"],
        tokens=task["tokens"],
        reward=sum_of_tokens,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        generation_kwargs={"suppress_tokens": task["never_drawn"]},
    )
    trainer.current_gradient_accumulation_steps = 1
    optimizer = trainer.create_optimizer()
    trainer.model.train()
    rows = [row for row in examples(task) for _ in range(task["completions"])]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        began = time.perf_counter()
        trainer.training_step(trainer.model, rows, None)
        norm = torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), trainer.args.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        seconds = time.perf_counter() - began
        check_sizes(trainer._buffered_inputs[0], task)
        sys.stdout.write(f"{seconds} {float(norm)}\n")
        sys.stdout.flush()


def examples(task: dict[str, Any]) -> list[dict[str, Any]]:
    """One conversation per picture, the one that our side asks."""
    prompt = [{"role": "system", "content": task["system"]}, {"role": "user", "content": task["text"]}]
    return [{"prompt": prompt, "images": [Image.open(path).convert("RGB")]} for path in task["images"]]


def check_sizes(batch: dict[str, torch.Tensor], task: dict[str, Any]) -> None:
    """Prompts and completions must be as long as on our side."""
    found = [batch["prompt_mask"].sum(dim=1).unique().tolist(), batch["completion_mask"].sum(dim=1).unique().tolist()]
    wanted = [[task["prompt_tokens"]], [task["tokens"]]]
    if found != wanted:
        sys.exit(f"whole_step_trl: prompt and completion tokens must be {wanted}, got {found}")


def sum_of_tokens(completion_ids: list[list[int]], **_: object) -> list[float]:
    """The reward of our side."""
    return [float(sum(token_ids) % 5) for token_ids in completion_ids]


if __name__ == "__main__":
    main()
