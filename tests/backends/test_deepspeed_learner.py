"""The learner on real DeepSpeed: one rank and a gang of two, as processes that meet over gloo."""

import math
import os
import re
import socket
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learner_batches import make_batch
from learner_ranks import MICRO_BATCH_TOKENS, PLAIN_PATH, READINGS, STAGES
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from ray_iqa.quickstart.tiny_policy import build_tiny_policy
from ray_iqa.types import TrainingGroup, WeightSnapshot

PROGRAM = Path(__file__).parent / "learner_ranks.py"
SCENARIOS = {
    1: "gradients local_counts resume skips bfloat16 offload clipping changed_image several_updates",
    2: "gradients qwen3_vl local_counts resume parts skips bfloat16 clipping lost_image other_layouts several_updates",
}
SHARDED = [(1, STAGES[0]), *((2, stage) for stage in STAGES)]  # ranks and stages; one rank shards nothing


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build_tiny_policy(tmp_path_factory.mktemp("policy"))
    for seed in range(4):  # its images, before several ranks want them
        make_batch(folder, seed)
    make_batch(build_tiny_policy(folder / "qwen3_vl", family="qwen3_vl"))
    return folder


@pytest.fixture(scope="module")
def outcomes(policy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Results of every scenario by number of ranks."""
    home = tmp_path_factory.mktemp("learners")
    folders = {num_ranks: home / f"ranks-{num_ranks}" for num_ranks in SCENARIOS}
    for num_ranks, scenarios in [*SCENARIOS.items(), (1, "other_layouts")]:  # they read what the others wrote
        folders[num_ranks].mkdir(exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        run_ranks(num_ranks, port, [str(policy), str(folders[num_ranks]), *scenarios.split()])
    return folders


def run_ranks(num_ranks: int, port: int, arguments: list[str]) -> None:
    rendezvous = {"WORLD_SIZE": str(num_ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": "0"}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), *arguments],
            env=os.environ | rendezvous | {"RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(num_ranks)
    ]
    outputs = [rank.communicate(timeout=400)[0] for rank in ranks]
    for rank, output in zip(ranks, outputs, strict=True):
        assert rank.returncode == 0, output[-4000:]


def outcome(outcomes: dict[int, Path], num_ranks: int, scenario: str) -> Any:  # noqa: ANN401
    # Plain Python objects and our own types, written by our own ranks.
    return torch.load(outcomes[num_ranks] / f"{scenario}.pt", weights_only=False)


def relative_errors(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> list[float]:
    assert found.keys() == expected.keys()
    norms = {name: expected[name].norm() for name in expected.keys() - {"metrics", "norm"}}
    errors = [float((found[name] - expected[name]).norm() / norm) for name, norm in norms.items() if norm >= 1e-6]
    assert len(errors) > 40
    return errors


@pytest.fixture(scope="module")
def expected_gradients(outcomes: dict[int, Path]) -> dict[str, torch.Tensor]:
    """One rank, no ZeRO, everything in one forward pass, one row per completion."""
    return outcome(outcomes, 1, "gradients")[0, PLAIN_PATH]


@pytest.mark.parametrize("num_ranks", SCENARIOS)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("max_tokens", MICRO_BATCH_TOKENS)
def test_reduced_gradients_depend_neither_on_ranks_nor_on_micro_batches(
    outcomes: dict[int, Path],
    expected_gradients: dict[str, torch.Tensor],
    num_ranks: int,
    stage: int,
    max_tokens: int,
) -> None:
    found = outcome(outcomes, num_ranks, "gradients")[stage, max_tokens]
    assert max(relative_errors(found, expected_gradients)) <= 1e-5
    torch.testing.assert_close(found["metrics"], expected_gradients["metrics"], rtol=1e-4, atol=1e-5)
    total = math.sqrt(sum(float(g.norm()) ** 2 for n, g in expected_gradients.items() if n not in {"metrics", "norm"}))
    assert found["norm"].tolist() == pytest.approx([total, 1.0], rel=1e-4)


def test_groups_in_one_row_of_qwen3_vl_give_the_gradients_of_completions_alone(outcomes: dict[int, Path]) -> None:
    found, expected = outcome(outcomes, 2, "qwen3_vl")
    assert max(relative_errors(found, expected)) <= 1e-4
    torch.testing.assert_close(found["metrics"], expected["metrics"], rtol=1e-4, atol=1e-5)


def test_an_image_that_is_gone_leaves_the_update(outcomes: dict[int, Path]) -> None:
    """Its answers still count in the means, so that the others weigh what they would weigh with it."""
    found, kept, share = outcome(outcomes, 2, "lost_image")
    expected = {name: value * share for name, value in kept.items()}
    for gradients in found:
        assert max(relative_errors(gradients, expected)) <= 1e-5
        assert 1.0 in gradients["metrics"].tolist()  # policy/lost_images


@pytest.mark.parametrize(("num_ranks", "stage"), SHARDED)
def test_dividing_by_local_counts_would_be_noticed(
    outcomes: dict[int, Path], expected_gradients: dict[str, torch.Tensor], num_ranks: int, stage: int
) -> None:
    found = outcome(outcomes, num_ranks, "local_counts")[stage, 110]
    assert max(relative_errors(found, expected_gradients)) > 1e-2


@pytest.mark.parametrize(("num_ranks", "case"), [*SHARDED, *product((1, 2), ("lora", "bfloat16"))])
def test_a_resumed_run_continues_exactly(outcomes: dict[int, Path], num_ranks: int, case: int | str) -> None:
    found = outcome(outcomes, num_ranks, "resume")[case]
    assert found["versions"] == (4, 4)
    assert torch.equal(*found["generator"])
    for whole, resumed in zip(*found["metrics"], strict=True):
        timing = {name for name in whole if name.startswith("learner/")}
        assert {n: v for n, v in whole.items() if n not in timing} == {
            n: v for n, v in resumed.items() if n not in timing
        }
    whole_weights, resumed_weights = found["weights"]
    assert all(whole_weights[name].equal(resumed_weights[name]) for name in whole_weights)


@pytest.mark.parametrize(("num_ranks", "written"), [(ranks, case) for ranks in READINGS for case in READINGS[ranks]])
def test_another_layout_continues_the_run(outcomes: dict[int, Path], num_ranks: int, written: int | str) -> None:
    expected, _ = outcome(outcomes, 3 - num_ranks, "resume")[written]["metrics"]
    found = outcome(outcomes, num_ranks, "other_layouts")[written]
    for wanted, metrics in zip(expected, found, strict=True):
        for name in wanted.keys() - {"learner/seconds", "learner/tokens_per_second"}:
            assert metrics[name] == pytest.approx(wanted[name], rel=1e-5, abs=1e-7), name


def test_training_moves_what_it_should(outcomes: dict[int, Path]) -> None:
    def moved(part: dict[str, Any]) -> set[str]:
        return {name for name, value in part["before"].items() if not value.equal(part["after"][name])}

    parts = outcome(outcomes, 2, "parts")
    everything = set(parts["all"]["before"])
    vision = {name for name in everything if ".visual." in name}
    text = everything - vision
    assert moved(parts["all"]) == everything
    assert moved(parts["language_model"]) == text
    assert moved(parts["vision_tower"]) == vision
    linear = {name for name in everything if parts["all"]["before"][name].ndim == 2} - {
        "model.language_model.embed_tokens.weight",
        "lm_head.weight",
    }
    assert moved(parts["lora"]) == moved(parts["lora_zero3"]) == linear
    assert moved(parts["lora_frozen"]) == linear - vision


@pytest.mark.parametrize("case", ["optimizer", "parameters"])
def test_offloading_trains_the_same_policy(outcomes: dict[int, Path], case: str) -> None:
    found = outcome(outcomes, 1, "offload")
    before, whole = found["nothing"]
    for name, value in found[case][1].items():
        assert (value - whole[name]).norm() <= 1e-2 * (whole[name] - before[name]).norm(), name


def test_the_reference_policy_is_the_initial_policy(outcomes: dict[int, Path]) -> None:
    for part in outcome(outcomes, 2, "parts").values():
        first, second = part["kl"]
        assert first == pytest.approx(0.0, abs=1e-7)
        assert second > 1e-4


def reloaded_logprobs(folder: Path, group: TrainingGroup) -> list[torch.Tensor]:
    """What plain transformers says about an exported folder."""
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(folder)
    image = processor.image_processor(images=[Image.open(group.image_path)], return_tensors="pt")
    prompt = torch.from_numpy(group.prompt_token_ids.astype(np.int64))
    found = []
    for completion in group.completions:
        tokens = torch.from_numpy(completion.astype(np.int64))
        row = torch.cat([prompt, tokens])[None]
        types = processor.create_mm_token_type_ids(row.tolist())
        with torch.no_grad():
            logits = model(input_ids=row, mm_token_type_ids=torch.tensor(types), **image).logits[0]
        found.append(logits[len(prompt) - 1 : -1].log_softmax(-1).gather(-1, tokens[:, None])[:, 0])
    return found


def unpack(snapshot: WeightSnapshot) -> dict[str, torch.Tensor]:
    """The manifest read back, independently of how it was packed."""
    found = {}
    for spec, value in zip(snapshot.manifest, snapshot.values, strict=True):
        found[spec.name] = torch.from_numpy(value.view(spec.dtype).reshape(spec.shape).copy())
    return found


def merged_by_hand(weights: dict[str, torch.Tensor], scaling: float) -> dict[str, torch.Tensor]:
    for name in [name for name in weights if name.endswith(".lora_A")]:
        base = name.removesuffix(".lora_A")
        weights[base] = weights[base] + scaling * (weights.pop(f"{base}.lora_B") @ weights.pop(name))
    return weights


@pytest.mark.parametrize("case", ["all", "language_model", "vision_tower", "lora", "lora_zero3", "lora_frozen"])
def test_a_snapshot_holds_the_whole_policy_whatever_was_trained(
    outcomes: dict[int, Path], policy: Path, case: str
) -> None:
    part = outcome(outcomes, 2, "parts")[case]
    snapshot = part["snapshot"]
    weights = merged_by_hand(unpack(snapshot), scaling=8 / 4)
    assert snapshot.policy_version == 2
    assert set(weights) == set(part["after"])
    for name, value in weights.items():
        torch.testing.assert_close(value, part["after"][name], rtol=0, atol=1e-6 if "lora" in case else 0)
    canary = snapshot.canary
    assert canary.token_ids.shape == canary.logprobs.shape
    assert len(canary.prompt_token_ids) > len(make_batch(policy).groups[2].prompt_token_ids)  # of 56 x 56 pixels
    assert np.isfinite(canary.logprobs).all()


@pytest.mark.parametrize("name", ["all", "lora", "lora_zero3"])
def test_an_exported_policy_is_the_trained_one(outcomes: dict[int, Path], policy: Path, name: str) -> None:
    part = outcome(outcomes, 2, "parts")[name]
    for expected, found in zip(
        part["logprobs"], reloaded_logprobs(part["export"], make_batch(policy).groups[0]), strict=True
    ):
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("num_ranks", "stage"), SHARDED)
def test_a_step_that_is_not_finite_is_skipped_and_counted(
    outcomes: dict[int, Path], num_ranks: int, stage: int
) -> None:
    found = outcome(outcomes, num_ranks, "skips")[stage]
    assert found["skipped"] == [1.0, 1.0, 0.0]  # a NaN, an empty batch, a good step
    start, after_bad = found["unchanged"]
    control, recovered = found["recovered"]
    assert all(start[name].equal(after_bad[name]) and control[name].equal(recovered[name]) for name in start)
    assert not all(start[name].equal(recovered[name]) for name in start)
    assert found["version"] == (0, 1)  # versions count the updates that were taken


@pytest.mark.parametrize(("num_ranks", "stage"), SHARDED)
def test_a_gradient_above_the_bound_is_scaled_down_to_it(outcomes: dict[int, Path], num_ranks: int, stage: int) -> None:
    found = outcome(outcomes, num_ranks, "clipping")
    norm, change = found[stage, 1e3]
    clipped_norm, clipped_change = found[stage, 1e-9]
    assert 1e-9 < norm < 1e3
    assert clipped_norm == pytest.approx(norm)  # logged as it was before
    assert change == pytest.approx(1e-3, rel=0.01)  # the learning rate, as Adam's first step is
    assert clipped_change < 0.15 * change


@pytest.mark.parametrize(("num_ranks", "stage"), SHARDED)
def test_several_updates_on_a_batch(outcomes: dict[int, Path], num_ranks: int, stage: int) -> None:
    """Where no clip acts, importance times ratio is the present policy over the sampler's, as in calls of their own."""
    found = outcome(outcomes, num_ranks, "several_updates")[stage]
    torch.testing.assert_close(*found["weights"], rtol=1e-4, atol=1e-5)
    norm, norms = found["grad_norm"]
    assert found["version"] == 4
    assert norm == pytest.approx(np.mean(norms), rel=1e-4)
    clipped, expected = found["clipped"], outcome(outcomes, 1, "several_updates")[0]["clipped"]
    assert clipped["policy/ratio_mean"] != pytest.approx(1.0, abs=1e-3)
    assert clipped["policy/clip_fraction_low"] + clipped["policy/clip_fraction_high"] > 0.05
    for name in expected.keys() - {"learner/seconds", "learner/tokens_per_second"}:
        assert clipped[name] == pytest.approx(expected[name], rel=2e-2, abs=2e-3), name


@pytest.mark.parametrize("stage", STAGES)
def test_bfloat16_trains(outcomes: dict[int, Path], stage: int) -> None:
    found = outcome(outcomes, 2, "bfloat16")[stage]
    assert all(math.isfinite(value) for metrics in found["metrics"] for value in metrics.values())
    assert [metrics["policy/skipped"] for metrics in found["metrics"]] == [0.0, 0.0]
    assert found["dtypes"] == {"bfloat16"}
    whole = outcome(outcomes, 1, "bfloat16")[0]["metrics"][0]["policy/grad_norm"]
    assert found["metrics"][0]["policy/grad_norm"] == pytest.approx(whole, rel=0.02)


def test_a_prompt_the_sampler_did_not_see_is_an_error(outcomes: dict[int, Path]) -> None:
    assert re.search("image-0-0.png.*processors differ", outcome(outcomes, 1, "changed_image"))
