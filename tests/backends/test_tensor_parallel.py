"""One engine split over two worker processes; slow to start, so only the long run has it."""

from pathlib import Path

import pytest
from vllm_policies import ROLLOUT, SPEC, load_model, make_canary, noise_pictures, pack_snapshot, perturb, tiny_policy

from ray_iqa.backends.vllm.sampler import VllmSampler
from ray_iqa.policy.inputs import PolicyInputs


@pytest.mark.long
def test_a_snapshot_reaches_both_workers(tmp_path: Path) -> None:
    policy = tiny_policy(tmp_path / "policy", "qwen3_vl")
    images, inputs = noise_pictures(tmp_path), PolicyInputs(policy)
    sampler = VllmSampler(policy, ROLLOUT.model_copy(update={"tensor_parallel_size": 2}))
    model = load_model(policy)
    for version in (1, 2):
        perturb(model, seed=version)
        canary = make_canary(model, inputs)
        assert sampler.weights.install(pack_snapshot(model, version, canary)).canary_max_abs < 1e-3
        assert sampler.sample(images[:2], SPEC)[0].policy_version == version
    sampler.close()
