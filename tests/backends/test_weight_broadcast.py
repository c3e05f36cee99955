"""vLLM's weight-transfer lifecycle on a CPU, through the product's sender and receiver and a gloo engine.

The policy has tied embeddings, as small real ones do. Sender and sampler share a process.
"""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gloo_transfer import GlooEngine, GlooTransport
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
from ray_iqa.backends.weights.send import WeightSender
from ray_iqa.config.learner import WeightTransferConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.data.images import load_image
from ray_iqa.errors import WeightTransferError
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.types import WeightReceipt

LIMIT = 1e-3


class OneSampler:
    """`ray_iqa.backends.weights.send.Receivers` for a sampler in this process."""

    def __init__(self, sampler: VllmSampler) -> None:
        self.sampler = sampler

    @property
    def fleet(self) -> tuple[str, ...]:
        return ("the only one",)

    def __call__(self, phase: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        return [getattr(self.sampler.weights, phase)(*arguments[0])]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("broadcast")
    policy = tied(tiny_policy(folder / "policy", "qwen2_5_vl"))
    sampler = VllmSampler(policy, ROLLOUT, WeightTransferConfig().model_copy(update={"type": "gloo"}))
    yield SimpleNamespace(
        policy=policy, sampler=sampler, inputs=PolicyInputs(policy), images=noise_pictures(folder)[:3]
    )
    sampler.close()


def tied(policy: PolicyConfig) -> PolicyConfig:
    model = load_model(policy)
    model.config.tie_word_embeddings = model.config.text_config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(policy.model, save_original_format=False)
    return policy


@pytest.fixture
def model(bench: SimpleNamespace) -> Iterator[torch.nn.Module]:
    model = load_model(bench.policy)
    yield model
    GlooEngine.breaks_at = "nothing"
    bench.sampler.weights.install(pack_snapshot(load_model(bench.policy), 0))


@pytest.fixture
def transport() -> GlooTransport:
    return GlooTransport(num_engines=1)


@pytest.fixture
def sender(bench: SimpleNamespace, transport: GlooTransport) -> WeightSender:
    return WeightSender(transport, OneSampler(bench.sampler), deadline_s=60.0)


def chunks(model: torch.nn.Module, size: int = 7) -> Iterator[list[tuple[str, torch.Tensor]]]:
    parameters = list(model.named_parameters())
    for start in range(0, len(parameters), size):
        yield parameters[start : start + size]


def send(sender: WeightSender, bench: SimpleNamespace, model: torch.nn.Module, version: int) -> WeightReceipt:
    canary = make_canary(model, bench.inputs)
    [receipt] = sender.send(pack_snapshot(model, version).manifest, chunks(model), version, canary)
    return receipt


def test_many_versions_through_one_group(
    bench: SimpleNamespace, model: torch.nn.Module, sender: WeightSender, transport: GlooTransport
) -> None:
    for version in (1, 2, 3):
        perturb(model, seed=version)
        bench.sampler.sample(bench.images, SPEC)  # fills all caches with what the old weights computed
        receipt = send(sender, bench, model, version)
        assert (receipt.policy_version, receipt.num_tensors) == (version, len(list(model.parameters())))
        assert receipt.canary_max_abs < LIMIT
        assert bench.sampler.sample(bench.images, SPEC)[0].policy_version == version
    assert len(transport.ports) == 1


def test_a_failed_chunk_is_repaired_by_a_whole_retry_with_a_new_group(
    bench: SimpleNamespace, model: torch.nn.Module, sender: WeightSender, transport: GlooTransport
) -> None:
    perturb(model, seed=4)
    GlooEngine.breaks_at = "model.language_model.layers.1.mlp.up_proj.weight"
    produced = chunks(model)
    with pytest.raises(WeightTransferError, match="cable was pulled"):
        sender.send(pack_snapshot(model, 4).manifest, produced, 4, None)
    assert next(produced, None) is None  # every chunk was gathered all the same
    with pytest.raises(WeightTransferError, match="failed"):
        bench.sampler.sample(bench.images, SPEC)
    assert send(sender, bench, model, 4).canary_max_abs < LIMIT
    assert len(set(transport.ports)) == 2
    assert bench.sampler.sample(bench.images, SPEC)[0].policy_version == 4


def test_a_failed_broadcast_is_repaired_by_a_snapshot(
    bench: SimpleNamespace, model: torch.nn.Module, sender: WeightSender
) -> None:
    perturb(model, seed=5)
    GlooEngine.breaks_at = "model.visual.blocks.1.attn.qkv.weight"
    with pytest.raises(WeightTransferError):
        send(sender, bench, model, 5)
    canary = make_canary(model, bench.inputs)
    assert bench.sampler.weights.install(pack_snapshot(model, 5, canary)).canary_max_abs < LIMIT


def test_a_parameter_that_never_arrives_is_named(
    bench: SimpleNamespace, model: torch.nn.Module, sender: WeightSender
) -> None:
    perturb(model, seed=6)
    incomplete = [part for part in chunks(model, 1) if part[0][0] != "model.visual.merger.mlp.0.bias"]
    with pytest.raises(WeightTransferError, match=r"lacks model\.visual\.merger\.mlp\.0\.bias \(and 0 more\)"):
        sender.send(pack_snapshot(model, 6).manifest, incomplete, 6, None)
    with pytest.raises(WeightTransferError, match="failed"):
        bench.sampler.sample(bench.images, SPEC)
    assert send(sender, bench, model, 6).canary_max_abs < LIMIT


def test_vllm_itself_accepts_an_update_that_lacks_a_parameter(
    model: torch.nn.Module, sender: WeightSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray_iqa.backends.vllm.weight_installer.check_coverage", lambda *_: None)
    incomplete = [part for part in chunks(model, 1) if part[0][0] != "model.visual.merger.mlp.0.bias"]
    assert sender.send(pack_snapshot(model, 7).manifest, incomplete, 7, None)[0].policy_version == 7


def test_a_manifest_that_does_not_fit_leaves_the_old_weights(
    bench: SimpleNamespace, model: torch.nn.Module, sender: WeightSender
) -> None:
    with pytest.raises(WeightTransferError, match="lacks"):
        sender.send(pack_snapshot(model, 8).manifest[1:], chunks(model), 8, None)
    assert bench.sampler.sample(bench.images, SPEC)[0].policy_version == 0


def test_an_update_whose_sender_vanished_is_given_up(
    bench: SimpleNamespace, model: torch.nn.Module, sender: WeightSender
) -> None:
    send(sender, bench, model, 9)
    bench.sampler.weights.start(pack_snapshot(model, 10).manifest)
    with pytest.raises(WeightTransferError, match="failed"):
        bench.sampler.sample(bench.images, SPEC)
    perturb(model, seed=10)
    assert send(sender, bench, model, 10).canary_max_abs < LIMIT


def test_a_phase_that_hangs_misses_its_deadline(bench: SimpleNamespace, model: torch.nn.Module) -> None:
    transport = GlooTransport(num_engines=2)  # the second sampler never joins
    sender = WeightSender(transport, OneSampler(bench.sampler), deadline_s=1.0)
    with pytest.raises(WeightTransferError, match="phase_deadline_s 1 s"):
        sender.send(pack_snapshot(model, 11).manifest, chunks(model), 11, None)
    assert bench.sampler.sample(bench.images, SPEC)[0].policy_version == 0


def test_an_image_seen_before_is_encoded_anew(
    bench: SimpleNamespace, model: torch.nn.Module, sender: WeightSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = bench.images[0]
    before = bench.sampler.sample([image], SPEC)[0].completions[0]
    send(sender, bench, model, 11)  # now the sampler has seen the picture of the canary, too
    perturb(model, seed=12, scale=1.0, only="visual")

    with monkeypatch.context() as patch:  # the trap: everything is reset but the vision features
        patch.setattr(bench.sampler._llm.llm_engine, "reset_encoder_cache", lambda: None)
        with pytest.raises(WeightTransferError, match="canary"):
            send(sender, bench, model, 12)
    assert send(sender, bench, model, 12).canary_max_abs < LIMIT
    _, logprobs = bench.sampler.logprobs_of(load_image(image.image_path), before.token_ids)
    assert np.abs(logprobs - before.logprobs).max() > 0.01
