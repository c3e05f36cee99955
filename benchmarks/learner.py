"""One learner update with the prompt of a group run once, beside our plain path and TRL's GRPOTrainer.

    python benchmarks/learner.py

A picture of 400 image tokens, K = 8 completions of 100 tokens each, float32, no KL term, no gradient checkpointing, the
same tiny policy with random weights. The three take turns and do the same arithmetic: their gradient norms are
compared. Reading and preprocessing of the pictures count on our side; TRL gets them ready-made. TRL is installed into
.venv-trl beside our own packages; where it cannot be had, its side is left out and said to be.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from table import report

from ray_iqa.backends.deepspeed.learner import DeepSpeedLearner
from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.quickstart.tiny_policy import Family, build_tiny_policy
from ray_iqa.types import TrainingBatch, TrainingGroup

PIXELS_PER_TOKEN = {"qwen2_5_vl": 28, "qwen3_vl": 32}  # a side
TOKENS_PER_SIDE = 20
TRL = ("trl==1.16.0", "datasets==5.2.0", "multiprocess==0.70.19", "xxhash==4.1.0")
TRL_FOLDER = Path(".venv-trl")
RENDEZVOUS = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
Step = Callable[[], tuple[float, float]]  # seconds and gradient norm of an update


def main() -> None:
    """Report both comparisons for each family."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=2)
    parser.add_argument("--completions", type=int, default=8, help="K, per group")
    parser.add_argument("--tokens", type=int, default=100, help="of a completion")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-trl", action="store_true")
    arguments = parser.parse_args()
    os.environ |= RENDEZVOUS
    trl_python = None if arguments.no_trl else trl_virtualenv()
    for family in PIXELS_PER_TOKEN:
        with tempfile.TemporaryDirectory() as folder:
            seconds = measure(Path(folder), family, trl_python, arguments)
        size = f"{arguments.groups} groups of {arguments.completions} x {arguments.tokens} tokens"
        for side, name in (("plain", "our plain path"), ("trl", "TRL's GRPOTrainer")):
            if side in seconds:
                figures = f"{seconds['shared']:.3f} / {seconds[side]:.3f} s"
                claim = f"learner update, {family}, 400 image tokens, {size}, against {name}"
                report(claim, seconds[side] / seconds["shared"], ">= 4", figures)


def measure(folder: Path, family: Family, trl_python: Path | None, arguments: argparse.Namespace) -> dict[str, float]:
    """Median seconds of an update by who took it."""
    policy = PolicyConfig(model=str(build_tiny_policy(folder / "policy", family)), dtype="float32")
    learners = {name: learner(policy, arguments.threads, share) for name, share in (("shared", True), ("plain", False))}
    batch = make_batch(folder, family, learners["shared"], arguments)
    steps: dict[str, Step] = {name: our_step(one, batch) for name, one in learners.items()}
    torch.save(for_trl(batch, learners["shared"].inputs), folder / "batch.pt")
    script = Path(__file__).with_name("learner_trl.py")
    command = [trl_python, script, policy.model, folder / "batch.pt", str(arguments.threads)]
    with nullcontext() if trl_python is None else other_process(command) as trl:
        if trl is not None:
            steps["trl"] = trl
        return in_turns(steps, arguments.repeats)


def in_turns(steps: dict[str, Step], repeats: int) -> dict[str, float]:
    """Median seconds; the first update of each is not counted, but its gradient norm must be everybody's."""
    norms = {name: step()[1] for name, step in steps.items()}
    if max(norms.values()) > 1.001 * min(norms.values()):
        sys.exit(f"learner: all sides must find the same gradient norm, got {norms}")
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            seconds[name].append(step()[0])
    return {name: statistics.median(of_one) for name, of_one in seconds.items()}


def learner(policy: PolicyConfig, threads: int, share_prefix: bool) -> DeepSpeedLearner:
    """One rank without ZeRO."""
    config = DeepSpeedLearnerConfig(
        zero_stage=0,
        gradient_checkpointing=False,
        kl_coef=0.0,
        share_prefix=share_prefix,
        num_threads=threads,
        max_tokens_per_micro_batch=2**20,
    )
    return DeepSpeedLearner(policy, config, num_steps=1000, seed=0)


def make_batch(folder: Path, family: Family, own: DeepSpeedLearner, arguments: argparse.Namespace) -> TrainingBatch:
    """Noise pictures and random completions that the policy itself might have written: their ratio is 1."""
    rng = np.random.default_rng(0)
    side = TOKENS_PER_SIDE * PIXELS_PER_TOKEN[family]
    allowed = np.setdiff1d(np.arange(200, dtype=np.int32), own.inputs.banned_token_ids)
    groups = []
    for number in range(arguments.groups):
        image = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
        image.save(path := folder / f"{number}.png")
        completions = tuple(rng.choice(allowed, arguments.tokens) for _ in range(arguments.completions))
        bare = TrainingGroup(
            image_path=str(path),
            prompt_token_ids=own.inputs.encode(image).token_ids.numpy().astype(np.int32),
            completions=completions,
            logprobs=None,
            advantages=rng.normal(size=arguments.completions).astype(np.float32),
        )
        groups.append(
            TrainingGroup(
                image_path=bare.image_path,
                prompt_token_ids=bare.prompt_token_ids,
                completions=completions,
                logprobs=own.token_logprobs(bare),
                advantages=bare.advantages,
            )
        )
    return TrainingBatch(groups=tuple(groups), policy_version=0)


def our_step(one: DeepSpeedLearner, batch: TrainingBatch) -> Step:
    """An update of our learner."""

    def step() -> tuple[float, float]:
        metrics = one.update(batch).metrics
        return metrics["learner/seconds"], metrics["policy/grad_norm"]

    return step


def for_trl(batch: TrainingBatch, inputs: PolicyInputs) -> dict[str, torch.Tensor | list[int]]:
    """The batch as GRPOTrainer keeps it between sampling and learning: a row per completion, pixels repeated."""
    rows: dict[str, list[torch.Tensor]] = {}
    for group in batch.groups:
        prompt = inputs.encode(Image.open(group.image_path))
        for completion, advantage in zip(group.completions, group.advantages, strict=True):
            tokens = torch.from_numpy(completion.astype(np.int64))
            types = torch.cat([prompt.token_types["mm_token_type_ids"], torch.zeros_like(tokens)])
            row = {
                "prompt_ids": prompt.token_ids,
                "completion_ids": tokens,
                "mm_token_type_ids": types,
                **prompt.vision,
            }
            row["advantages"] = torch.tensor(advantage)
            for name, value in row.items():
                rows.setdefault(name, []).append(value)
    ready: dict[str, torch.Tensor | list[int]] = {
        name: torch.cat(values) if name in ("pixel_values", "image_grid_thw") else torch.stack(values)
        for name, values in rows.items()
    }
    prompts, completions = torch.stack(rows["prompt_ids"]), torch.stack(rows["completion_ids"])
    masks = {"prompt_mask": torch.ones_like(prompts), "completion_mask": torch.ones_like(completions)}
    counts = {"num_items_in_batch": torch.tensor(completions.numel()), "num_images": [1] * len(completions)}
    return ready | masks | counts


@contextmanager
def other_process(command: Sequence[str | Path]) -> Iterator[Step]:
    """A step of TRL's trainer, which runs in a process of its own and waits while others have their turn."""
    alone = {name: value for name, value in os.environ.items() if name not in RENDEZVOUS}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=alone)
    assert process.stdin is not None
    assert process.stdout is not None
    answers = process.stdout
    while (line := answers.readline()) != "ready\n":
        if not line:
            sys.exit(f"{command[1]} must answer ready, it ended: see above")

    def step() -> tuple[float, float]:
        process.stdin.write("step\n")
        seconds, norm = answers.readline().split()
        return float(seconds), float(norm)

    yield step
    process.stdin.close()
    process.wait(timeout=60)


def trl_virtualenv() -> Path | None:
    """A virtualenv that sees our packages and has TRL beside them; None where it cannot be installed."""
    python = TRL_FOLDER / "bin" / "python"
    ready = TRL_FOLDER / "ready"
    if ready.exists():
        return python.absolute()
    venv.create(TRL_FOLDER, symlinks=True)
    (library,) = TRL_FOLDER.glob("lib/python*/site-packages")
    # Not system_site_packages: those would be of the interpreter that ours was made from.
    ours = Path(np.__file__).parent.parent
    (library / "ours.pth").write_text(f"import site; site.addsitedir({str(ours)!r})\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", *TRL]
    if subprocess.run(pip, check=False).returncode != 0:
        print("TRL cannot be installed here: its side is left out", file=sys.stderr)
        return None
    ready.touch()
    return python.absolute()


if __name__ == "__main__":
    main()
