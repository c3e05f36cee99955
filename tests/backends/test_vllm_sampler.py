"""Both tiny families on a real vLLM engine, against transformers on the same weights."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from vllm_policies import (
    ROLLOUT,
    SPEC,
    labelled,
    load_model,
    noise_pictures,
    pack_snapshot,
    perturb,
    reference_logprobs,
    tiny_policy,
)

from ray_iqa.backends.vllm.sampler import VllmSampler
from ray_iqa.data.images import load_image
from ray_iqa.errors import ConfigError
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.types import RolloutGroup


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("vllm")
    policy = tiny_policy(folder / "policy", request.param)
    # None of a model's own generation defaults may take part: K answers would be equal and two tokens long.
    wishes = {"do_sample": True, "top_k": 1, "temperature": 0.01, "repetition_penalty": 5.0, "max_new_tokens": 2}
    (folder / "policy" / "generation_config.json").write_text(json.dumps(wishes))
    sampler = VllmSampler(policy, ROLLOUT)
    yield SimpleNamespace(
        policy=policy, sampler=sampler, inputs=PolicyInputs(policy), images=noise_pictures(folder), folder=folder
    )
    sampler.close()


@pytest.fixture
def model(bench: SimpleNamespace) -> Iterator[torch.nn.Module]:
    """A transformers model to change and install; afterwards the sampler gets its first weights back."""
    yield load_model(bench.policy)
    bench.sampler.weights.install(pack_snapshot(load_model(bench.policy), 0))


def same(one: RolloutGroup, other: RolloutGroup) -> bool:
    return all(
        np.array_equal(a.token_ids, b.token_ids) and np.array_equal(a.logprobs, b.logprobs)
        for a, b in zip(one.completions, other.completions, strict=True)
    )


def differences(model: torch.nn.Module, bench: SimpleNamespace, groups: list[RolloutGroup]) -> np.ndarray:
    found = []
    for group in groups:
        for completion in group.completions:
            expected = reference_logprobs(model, bench.inputs, group.image.image_path, completion.token_ids)
            found.append(completion.logprobs - expected[np.arange(len(completion.token_ids)), completion.token_ids])
    return np.abs(np.concatenate(found))


def test_k_completions_per_image_in_order(bench: SimpleNamespace) -> None:
    groups = bench.sampler.sample(bench.images, SPEC)
    assert [group.image for group in groups] == bench.images
    for group in groups:
        assert group.policy_version == 0
        assert len(group.completions) == SPEC.num_completions
        assert len({completion.token_ids.tobytes() for completion in group.completions}) == SPEC.num_completions
        for completion in group.completions:
            assert completion.token_ids.dtype == np.int32
            assert completion.logprobs.dtype == np.float32
            assert completion.logprobs.shape == completion.token_ids.shape
            assert len(completion.token_ids) <= SPEC.max_tokens
            assert completion.finish_reason == ("length" if len(completion.token_ids) == SPEC.max_tokens else "stop")
            assert completion.text == bench.inputs.decode(completion.token_ids)


def test_an_image_is_sampled_the_same_in_any_batch(bench: SimpleNamespace) -> None:
    together = bench.sampler.sample(bench.images, SPEC)
    backwards = bench.sampler.sample(bench.images[::-1], SPEC)[::-1]
    for index, group in enumerate(together):
        assert same(group, backwards[index])
        assert same(group, bench.sampler.sample([bench.images[index]], SPEC)[0])


def test_the_seed_and_the_image_decide(bench: SimpleNamespace) -> None:
    image = bench.images[4]
    first = bench.sampler.sample([image], SPEC)[0]
    assert not same(first, bench.sampler.sample([image], replace(SPEC, seed=4))[0])
    assert not same(first, bench.sampler.sample([replace(image, image_id="other")], SPEC)[0])


def test_temperature_zero_is_greedy(bench: SimpleNamespace) -> None:
    group = bench.sampler.sample(bench.images[:1], replace(SPEC, temperature=0.0))[0]
    assert len(group.completions) == SPEC.num_completions
    tokens = group.completions[0].token_ids
    expected = reference_logprobs(load_model(bench.policy), bench.inputs, group.image.image_path, tokens)
    expected[:, list(bench.inputs.banned_token_ids)] = -np.inf
    np.testing.assert_array_equal(tokens, expected.argmax(axis=1))


def test_prompt_and_pixels_are_those_of_the_learner(bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    core = bench.sampler._llm.llm_engine.engine_core
    requests, add_request = [], core.add_request
    monkeypatch.setattr(core, "add_request", lambda request: (requests.append(request), add_request(request)))
    bench.sampler._llm.reset_mm_cache()  # an image seen before would come without its pixels
    groups = bench.sampler.sample(bench.images, replace(SPEC, num_completions=1, max_tokens=1))
    assert len(requests) == len(groups)
    for request, group in zip(requests, groups, strict=True):
        encoded = bench.inputs.encode(load_image(group.image.image_path))
        assert request.prompt_token_ids == encoded.token_ids.tolist()
        np.testing.assert_array_equal(group.prompt_token_ids, encoded.token_ids)
        [feature] = request.mm_features
        for name in ("pixel_values", "image_grid_thw"):
            theirs = feature.data[name].data
            np.testing.assert_array_equal(theirs.reshape(encoded.vision[name].shape), encoded.vision[name])


def test_logprobs_are_those_of_transformers_before_and_after_many_installs(
    bench: SimpleNamespace, model: torch.nn.Module
) -> None:
    images = [bench.images[0], bench.images[3], bench.images[5], bench.images[7]]
    block = bench.sampler._llm.llm_engine.vllm_config.cache_config.block_size
    for version in range(13):
        if version:
            perturb(model, seed=version)
            bench.sampler.weights.install(pack_snapshot(model, version))
        if version % 6 == 0:
            groups = bench.sampler.sample(images, replace(SPEC, temperature=0.7, top_k=50))
            # Of shorter prompts no block is cached, so nothing stale could be found again.
            assert max(len(group.prompt_token_ids) for group in groups) > block
            found = differences(model, bench, groups)
            assert groups[0].policy_version == version
            assert found.mean() < 1e-4
            assert found.max() < 1e-3


def test_banned_tokens_are_never_drawn(bench: SimpleNamespace, model: torch.nn.Module) -> None:
    banned = list(bench.inputs.banned_token_ids)
    with torch.no_grad():  # whatever the hidden state's sign, half of the banned tokens are far ahead of all others
        model.lm_head.weight[banned] = 5.0 * (-1.0) ** torch.arange(len(banned))[:, None]
    bench.sampler.weights.install(pack_snapshot(model, 1))
    groups = bench.sampler.sample(bench.images, SPEC)
    drawn = np.concatenate([completion.token_ids for group in groups for completion in group.completions])
    assert not np.isin(drawn, banned).any()
    wanted = reference_logprobs(model, bench.inputs, bench.images[0].image_path, groups[0].completions[0].token_ids)
    assert np.isin(wanted.argmax(axis=1), banned).mean() > 0.9
    assert differences(model, bench, groups[:2]).max() < 1e-2  # of log-probabilities around -30
    greedy = bench.sampler.sample(bench.images[:1], replace(SPEC, temperature=0.0))[0]
    assert not np.isin(greedy.completions[0].token_ids, banned).any()


def test_the_end_of_the_turn_stops_and_is_kept(bench: SimpleNamespace, model: torch.nn.Module) -> None:
    stop = bench.inputs.stop_token_ids[0]
    tokens = bench.sampler.sample(bench.images[:1], SPEC)[0].completions[0].token_ids
    hidden = torch.ones(model.lm_head.in_features)
    with torch.no_grad():
        model.lm_head.weight[stop] = 5.0 * hidden
    bench.sampler.weights.install(pack_snapshot(model, 1))
    stopped = [c for g in bench.sampler.sample(bench.images, SPEC) for c in g.completions if c.finish_reason == "stop"]
    assert stopped
    for completion in stopped:
        assert completion.token_ids[-1] == stop
        assert stop not in completion.token_ids[:-1]
        assert len(completion.logprobs) == len(completion.token_ids)
    assert stop not in tokens[:-1]


def test_scoring_repeats_the_logprobs_of_sampling(bench: SimpleNamespace) -> None:
    group = bench.sampler.sample(bench.images[5:6], SPEC)[0]
    prompt_token_ids, logprobs = bench.sampler.logprobs_of(
        load_image(group.image.image_path), group.completions[0].token_ids
    )
    np.testing.assert_array_equal(prompt_token_ids, group.prompt_token_ids)
    np.testing.assert_allclose(logprobs, group.completions[0].logprobs, atol=1e-5)


@pytest.mark.parametrize("prepared", [False, True])
def test_images_that_cannot_be_used_are_groups_with_a_reason(bench: SimpleNamespace, *, prepared: bool) -> None:
    """One that is no picture, one that is gone, a thin one, and one whose prompt leaves no room for an answer."""
    broken, thin = Path(bench.folder) / "broken.png", Path(bench.folder) / "thin.png"
    broken.write_bytes(b"not a picture")
    Image.new("L", (2000, 1)).save(thin)
    bad = [labelled(path.stem, path) for path in (broken, Path("gone.png"), thin)]
    large = bench.images[-1]  # 640 x 480, reduced to at most 320 x 320 pixels
    images = [bad[0], bench.images[0], *bad[1:], large, bench.images[1]]
    room = ROLLOUT.max_model_len - len(bench.sampler.sample([large], SPEC)[0].prompt_token_ids)
    spec = replace(SPEC, max_tokens=room + 1)
    if prepared:
        bench.sampler.prepare(images)
    groups = bench.sampler.sample(images, spec)
    assert [group.image for group in groups] == images
    assert [group.problem is None for group in groups] == [False, True, False, False, False, True]
    assert "broken.png: not a readable image" in groups[0].problem
    assert groups[2].problem == "gone.png: no such image file"
    assert "at most 100 times the other, got 2000 x 1" in groups[3].problem
    assert f"must fit into rollout.max_model_len {ROLLOUT.max_model_len:,}" in groups[4].problem
    for group in groups:
        assert len(group.completions) == SPEC.num_completions
        if group.problem:
            assert {(item.finish_reason, item.text, len(item.token_ids)) for item in group.completions} == {
                ("abort", "", 0)
            }
    assert same(groups[1], bench.sampler.sample(bench.images[:1], spec)[0])
    # A picture in memory, which no reader has looked at: the model itself refuses it.
    refused = bench.sampler.sample_pictures(
        bench.images[:2], [Image.new("RGB", (3000, 10)), Image.new("RGB", (56, 56))], SPEC
    )
    assert [group.problem is None for group in refused] == [False, True]
    assert "aspect ratio" in refused[0].problem
    assert bench.sampler.sample([large], replace(SPEC, max_tokens=room))[0].problem is None


def test_a_refused_request_names_the_reason(bench: SimpleNamespace) -> None:
    with pytest.raises(ConfigError, match="temperature"):
        bench.sampler.sample(bench.images[:1], replace(SPEC, temperature=3.0))
    with pytest.raises(ConfigError, match=str(ROLLOUT.max_model_len)):
        bench.sampler.logprobs_of(load_image(bench.images[0].image_path), np.full(ROLLOUT.max_model_len, 40, np.int32))
    assert len(bench.sampler.sample(bench.images[:2], SPEC)) == 2


def test_expected_parameters_are_those_of_transformers(bench: SimpleNamespace) -> None:
    model = load_model(bench.policy)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert bench.sampler.weights.expected == shapes
    assert any(name.startswith("model.visual.") for name in shapes)


def test_a_prepared_image_is_not_read_again_whatever_the_weights(
    bench: SimpleNamespace, model: torch.nn.Module
) -> None:
    path = bench.folder / "gone.png"
    path.write_bytes(Path(bench.images[4].image_path).read_bytes())
    image = replace(bench.images[4], image_path=str(path))
    perturb(model, seed=6)
    bench.sampler.prepare([image])
    path.unlink()
    bench.sampler.weights.install(pack_snapshot(model, 1))
    [prepared] = bench.sampler.sample([image], SPEC)
    [fresh] = bench.sampler.sample([bench.images[4]], SPEC)
    assert same(prepared, fresh)
    assert bench.sampler.sample([image], SPEC)[0].problem == f"{path}: no such image file"
