"""Snapshots into a real vLLM engine: the manifest, the canary, recovery, and what stays of a snapshot (nothing)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from vllm_policies import (
    ROLLOUT,
    SPEC,
    load_model,
    make_canary,
    noise_pictures,
    pack_snapshot,
    perturb,
    tiny_policy,
)

from ray_iqa.backends.vllm.sampler import VllmSampler
from ray_iqa.backends.weights.manifest import snapshot_tensors
from ray_iqa.errors import WeightTransferError
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.types import RolloutGroup, TensorSpec, WeightSnapshot


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("install")
    policy = tiny_policy(folder / "policy", "qwen2_5_vl")
    sampler = VllmSampler(policy, ROLLOUT)
    yield SimpleNamespace(
        policy=policy, sampler=sampler, inputs=PolicyInputs(policy), images=noise_pictures(folder)[:3]
    )
    sampler.close()


@pytest.fixture
def model(bench: SimpleNamespace) -> Iterator[torch.nn.Module]:
    yield load_model(bench.policy)
    bench.sampler.weights.install(pack_snapshot(load_model(bench.policy), 0))


def drawn(groups: list[RolloutGroup]) -> list[bytes]:
    return [c.token_ids.tobytes() + c.logprobs.tobytes() for group in groups for c in group.completions]


def test_installing_the_same_weights_changes_no_bit(bench: SimpleNamespace, model: torch.nn.Module) -> None:
    before = drawn(bench.sampler.sample(bench.images, SPEC))
    receipt = bench.sampler.weights.install(pack_snapshot(model, 7))
    assert (receipt.policy_version, receipt.num_tensors) == (7, len(list(model.parameters())))
    assert np.isnan(receipt.canary_max_abs)
    after = bench.sampler.sample(bench.images, SPEC)
    assert drawn(after) == before
    assert {group.policy_version for group in after} == {7}


def test_the_canary_agrees_and_the_answers_change(bench: SimpleNamespace, model: torch.nn.Module) -> None:
    before = drawn(bench.sampler.sample(bench.images, SPEC))
    perturb(model, seed=1)
    canary = make_canary(model, bench.inputs)
    receipt = bench.sampler.weights.install(pack_snapshot(model, 1, canary))
    assert 0.0 <= receipt.canary_max_abs < 1e-3
    assert drawn(bench.sampler.sample(bench.images, SPEC)) != before


@pytest.mark.parametrize("log_probability", [-50.0, float("nan")])
def test_a_wrong_canary_silences_the_sampler_until_a_whole_snapshot(
    bench: SimpleNamespace, model: torch.nn.Module, log_probability: float
) -> None:
    canary = make_canary(model, bench.inputs)
    logprobs = np.array([log_probability, *canary.logprobs[1:]], np.float32)
    with pytest.raises(WeightTransferError, match="canary"):
        bench.sampler.weights.install(pack_snapshot(model, 1, replace(canary, logprobs=logprobs)))
    with pytest.raises(WeightTransferError, match="failed"):
        bench.sampler.sample(bench.images, SPEC)
    bench.sampler.weights.install(pack_snapshot(model, 2, canary))
    assert bench.sampler.sample(bench.images, SPEC)[0].policy_version == 2


def test_a_canary_read_differently_by_the_learner_is_refused(bench: SimpleNamespace, model: torch.nn.Module) -> None:
    canary = make_canary(model, bench.inputs)
    shorter = replace(canary, prompt_token_ids=canary.prompt_token_ids[:-1])
    with pytest.raises(WeightTransferError, match="same prompt"):
        bench.sampler.weights.install(pack_snapshot(model, 1, shorter))


def without_a_parameter(snapshot: WeightSnapshot) -> WeightSnapshot:
    kept = tuple(spec for spec in snapshot.manifest if spec.name != "lm_head.weight")
    return replace(snapshot, manifest=kept)


def with_a_stranger(snapshot: WeightSnapshot) -> WeightSnapshot:
    return replace(snapshot, manifest=(*snapshot.manifest, replace(snapshot.manifest[0], name="model.stranger")))


def with_another_shape(snapshot: WeightSnapshot) -> WeightSnapshot:
    return replace(snapshot, manifest=(replace(snapshot.manifest[0], shape=(3, 5)), *snapshot.manifest[1:]))


def with_a_twin(snapshot: WeightSnapshot) -> WeightSnapshot:
    return replace(snapshot, manifest=(*snapshot.manifest, snapshot.manifest[0]))


def with_integers(snapshot: WeightSnapshot) -> WeightSnapshot:
    return replace(snapshot, manifest=(replace(snapshot.manifest[0], dtype="int32"), *snapshot.manifest[1:]))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_a_parameter, r"lacks lm_head\.weight"),
        (with_a_stranger, r"unknown model\.stranger"),
        (with_another_shape, r"shape .*\(3, 5\)"),
        (with_a_twin, "once"),
        (with_integers, "int32"),
    ],
)
def test_a_manifest_that_does_not_fit_leaves_the_old_weights(
    bench: SimpleNamespace, model: torch.nn.Module, damage: object, message: str
) -> None:
    before = drawn(bench.sampler.sample(bench.images[:1], SPEC))
    perturb(model, seed=2)
    with pytest.raises(WeightTransferError, match=message):
        bench.sampler.weights.install(damage(pack_snapshot(model, 1)))
    assert bench.sampler.weights.policy_version == 0
    assert drawn(bench.sampler.sample(bench.images[:1], SPEC)) == before


def test_a_snapshot_cut_off_inside_is_repaired_by_a_whole_one(bench: SimpleNamespace, model: torch.nn.Module) -> None:
    before = drawn(bench.sampler.sample(bench.images, SPEC))
    whole = pack_snapshot(model, 1)
    # vLLM fuses it with gate_proj, which has arrived.
    up = [spec.name for spec in whole.manifest].index("model.language_model.layers.0.mlp.up_proj.weight")
    cut = replace(whole, values=(*whole.values[:up], whole.values[up][:4], *whole.values[up + 1 :]))
    with pytest.raises(WeightTransferError, match=r"up_proj.* bytes, the snapshot has 4"):
        bench.sampler.weights.install(cut)
    with pytest.raises(WeightTransferError, match="failed"):
        bench.sampler.sample(bench.images, SPEC)
    bench.sampler.weights.install(whole)
    assert drawn(bench.sampler.sample(bench.images, SPEC)) == before


def test_the_engine_keeps_no_view_of_the_snapshot(bench: SimpleNamespace, model: torch.nn.Module) -> None:
    before = drawn(bench.sampler.sample(bench.images, SPEC))
    snapshot = pack_snapshot(model, 1)
    bench.sampler.weights.install(snapshot)
    for value in snapshot.values:
        value.flags.writeable = True
        value[:] = 0
    assert drawn(bench.sampler.sample(bench.images, SPEC)) == before


def test_bfloat16_snapshots_are_read_in_place(bench: SimpleNamespace, model: torch.nn.Module) -> None:
    snapshot = pack_snapshot(model, 1, dtype=torch.bfloat16)
    for spec, value, (name, tensor) in zip(snapshot.manifest, snapshot.values, snapshot_tensors(snapshot), strict=True):
        assert (spec.name, tensor.dtype) == (name, torch.bfloat16)
        assert tensor.data_ptr() == value.ctypes.data
        assert torch.equal(tensor, model.get_parameter(name).to(torch.bfloat16))
    rounded = load_model(bench.policy)
    with torch.no_grad():
        for parameter in rounded.parameters():
            parameter.copy_(parameter.to(torch.bfloat16))
    canary = make_canary(rounded, bench.inputs)
    assert bench.sampler.weights.install(replace(snapshot, canary=canary)).canary_max_abs < 1e-3


ADAPTED = ["model.language_model.layers.0.self_attn.q_proj.weight", "model.visual.blocks.0.mlp.up_proj.weight"]
SCALING = 2.0


def with_adapters(base: WeightSnapshot, model: torch.nn.Module) -> WeightSnapshot:
    """Adapters of rank 3 for two weights; ``model`` becomes the policy that base and adapters make."""
    generator = torch.Generator().manual_seed(4)
    manifest, values = [], []
    for name in ADAPTED:
        weight = model.get_parameter(name)
        down = torch.randn((3, weight.shape[1]), generator=generator)
        up = 0.05 * torch.randn((weight.shape[0], 3), generator=generator)
        with torch.no_grad():
            weight += SCALING * (up @ down)
        for factor, value in ("lora_A", down), ("lora_B", up):
            manifest.append(TensorSpec(name=f"{name}.{factor}", shape=tuple(value.shape), dtype="float32"))
            values.append(value.numpy().view(np.uint8).reshape(-1))
    return replace(
        base,
        manifest=(*base.manifest, *manifest),
        values=(*base.values, *values),
        lora_scaling=SCALING,
    )


def test_adapters_are_merged_with_their_base(bench: SimpleNamespace, model: torch.nn.Module) -> None:
    adapted = with_adapters(pack_snapshot(model, 1), model)
    canary = make_canary(model, bench.inputs)
    assert bench.sampler.weights.install(replace(adapted, canary=canary)).canary_max_abs < 1e-3
    after = drawn(bench.sampler.sample(bench.images, SPEC))
    bench.sampler.weights.install(pack_snapshot(model, 2, canary))
    assert drawn(bench.sampler.sample(bench.images, SPEC)) == after
    lost = replace(adapted, manifest=adapted.manifest[:-2], values=adapted.values[:-2], canary=canary)
    with pytest.raises(WeightTransferError, match="canary"):
        bench.sampler.weights.install(lost)


def test_adapters_that_do_not_fit_are_refused(bench: SimpleNamespace, model: torch.nn.Module) -> None:
    adapted = with_adapters(pack_snapshot(model, 1), model)
    *others, up = adapted.manifest
    for damaged, message in {
        tuple(others): "none and ",
        (*others, replace(up, name="model.stranger.weight.lora_B")): r"model\.stranger|none and ",
        (*others, replace(up, shape=(up.shape[0], 2))): "must change a matrix",
    }.items():
        with pytest.raises(WeightTransferError, match=message):
            bench.sampler.weights.install(replace(adapted, manifest=damaged))
    assert bench.sampler.weights.policy_version == 0


def test_tied_embeddings_travel_once_and_reach_the_output(tmp_path: Path) -> None:
    policy = tiny_policy(tmp_path / "tied", "qwen2_5_vl")
    tied = load_model(policy)
    tied.config.tie_word_embeddings = tied.config.text_config.tie_word_embeddings = True
    tied.tie_weights()
    tied.save_pretrained(policy.model, save_original_format=False)
    tied = load_model(policy)
    sampler = VllmSampler(policy, ROLLOUT)
    assert "lm_head.weight" not in sampler.weights.expected
    for version in 1, 2:
        perturb(tied, seed=version)
        canary = make_canary(tied, PolicyInputs(policy))
        assert sampler.weights.install(pack_snapshot(tied, version, canary)).canary_max_abs < 1e-3
    sampler.close()
