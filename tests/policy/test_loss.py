"""Numbers worked out by hand."""

import math

import pytest
import torch

from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.policy.loss import TokenTerms, clipped_surrogate, k3_divergence, loss_scale, policy_loss, token_weights

# Two responses of 2 and 1 tokens with advantages 1 and -2, in an update of 4 responses with 16 tokens.
LENGTHS, OF_UPDATE = (2, 1), (2, 8, 5, 1)
WEIGHTS = [1 / 8, 1 / 8, 1 / 4]


def terms(**changes: torch.Tensor | None) -> TokenTerms:
    values = {
        "sampler_logprobs": torch.tensor([-1.0, -2.0, -0.5]),
        "reference_logprobs": torch.tensor([-1.0, -2.0, -0.5]),
        "entropies": torch.tensor([0.1, 0.2, 0.4]),
        "advantages": torch.tensor([1.0, 1.0, -2.0]),
        "weights": token_weights(LENGTHS, OF_UPDATE, "grpo"),
    }
    return TokenTerms(**(values | changes))


def test_grpo_averages_over_tokens_then_over_the_responses_of_the_update() -> None:
    """VisualQuality-R1's code: (1/R) sum_k (1/T_k) sum_t."""
    assert token_weights(LENGTHS, OF_UPDATE, "grpo").tolist() == WEIGHTS
    assert loss_scale(OF_UPDATE, DeepSpeedLearnerConfig()) == 1.0


def test_dapo_averages_over_all_tokens() -> None:
    """Equation 8 of arXiv 2503.14476: 1 / (sum_k T_k) sum_k sum_t."""
    settings = DeepSpeedLearnerConfig(loss="dapo")
    assert token_weights(LENGTHS, OF_UPDATE, "dapo").tolist() == [1 / 16] * 3
    assert loss_scale(OF_UPDATE, settings) == 1.0
    assert (settings.clip_low, settings.clip_high, settings.kl_coef, settings.max_redraws) == (0.2, 0.28, 0.0, 3)
    assert DeepSpeedLearnerConfig(loss="dapo", kl_coef=0.1).kl_coef == 0.1


def test_dr_grpo_divides_by_a_constant_length() -> None:
    """arXiv 2503.20783, its released code: 1 / (R L) sum_k sum_t, which no answer's length enters."""
    settings = DeepSpeedLearnerConfig(loss="dr_grpo", dr_grpo_length=32)
    weights = token_weights(LENGTHS, OF_UPDATE, "dr_grpo") * loss_scale(OF_UPDATE, settings)
    assert weights.tolist() == pytest.approx([1 / (4 * 32)] * 3)


def test_the_ratio_is_to_the_policy_at_the_start_of_the_batch_and_so_is_the_importance() -> None:
    """Old probabilities e^-1, e^-2, e^-.5 became 1.1, 1.5 and .7 times as large; the sampler's were half of them."""
    old = torch.tensor([-1.0, -2.0, -0.5])
    logprobs = (old + torch.tensor([1.1, 1.5, 0.7]).log()).requires_grad_()
    parts = policy_loss(
        logprobs, terms(old_logprobs=old, sampler_logprobs=old - math.log(2.0)), DeepSpeedLearnerConfig(kl_coef=0.0)
    )
    # The second is clipped at 1.2; the third, with a negative advantage, at .8.
    assert parts.loss.item() == pytest.approx(-2 * (1.1 / 8 + 1.2 / 8 - 2 * 0.8 / 4))
    parts.loss.backward()
    assert logprobs.grad.tolist() == pytest.approx([-2 * 1.1 / 8, 0.0, 0.0])
    assert parts.sums["policy/ratio_mean"].item() == pytest.approx(1.1 / 8 + 1.5 / 8 + 0.7 / 4)
    assert parts.sums["policy/clip_fraction_high"].item() == pytest.approx(1 / 8)
    assert parts.sums["policy/clip_fraction_low"].item() == pytest.approx(1 / 4)
    assert parts.sums["policy/importance_ratio_mean"].item() == pytest.approx(2 * (1 / 8 + 1 / 8 + 1 / 4))


def test_on_policy_loss_and_gradient() -> None:
    logprobs = torch.tensor([-1.0, -2.0, -0.5], requires_grad=True)
    parts = policy_loss(logprobs, terms(), DeepSpeedLearnerConfig(kl_coef=0.0))
    assert parts.loss.item() == pytest.approx(-(1 / 8 + 1 / 8) * 1 + 1 / 4 * 2)
    parts.loss.backward()
    assert logprobs.grad.tolist() == pytest.approx([-1 / 8, -1 / 8, 1 / 2])
    assert parts.sums["policy/entropy"].item() == pytest.approx(0.1 / 8 + 0.2 / 8 + 0.4 / 4)
    assert parts.sums["policy/clip_fraction_low"].item() == parts.sums["policy/clip_fraction_high"].item() == 0.0
    assert parts.maxima["policy/importance_ratio_max"].item() == 1.0


def test_the_importance_ratio_is_truncated_and_carries_no_gradient() -> None:
    logprobs = torch.tensor([-1.0, -2.0, -0.5], requires_grad=True)
    sampler = torch.tensor([-1.0, -2.0, -0.5]) - torch.tensor([0.5, 5.0, 0.25]).log()  # the cap is 2
    parts = policy_loss(logprobs, terms(sampler_logprobs=sampler), DeepSpeedLearnerConfig(kl_coef=0.0))
    parts.loss.backward()
    assert logprobs.grad.tolist() == pytest.approx([-0.5 / 8, -2.0 / 8, 0.25 * 2 / 4])
    assert parts.sums["policy/importance_ratio_mean"].item() == pytest.approx(0.5 / 8 + 5 / 8 + 0.25 / 4)
    assert parts.maxima["policy/importance_ratio_max"].item() == pytest.approx(5.0)
    assert parts.maxima["policy/logprob_difference_max"].item() == pytest.approx(math.log(5.0))


def test_the_clip_has_two_sides_and_stops_the_gradient_beyond_them() -> None:
    ratio = torch.tensor([0.5, 0.5, 1.0, 2.0, 2.0], requires_grad=True)
    advantages = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0])
    settings = DeepSpeedLearnerConfig(clip_low=0.1, clip_high=0.3)
    surrogate, clipped = clipped_surrogate(ratio, advantages, settings)
    assert clipped["policy/clip_fraction_low"].tolist() == [0.0, 1.0, 0.0, 0.0, 0.0]
    assert clipped["policy/clip_fraction_high"].tolist() == [0.0, 0.0, 0.0, 1.0, 0.0]
    assert surrogate.tolist() == pytest.approx([0.5, -0.9, 1.0, 1.3, -2.0])
    surrogate.sum().backward()
    assert ratio.grad.tolist() == [1.0, 0.0, 1.0, 0.0, -1.0]


def test_kl_to_the_reference_adds_its_value_and_its_gradient() -> None:
    logprobs = torch.tensor([-1.0, -2.0, -0.5], requires_grad=True)
    reference = torch.tensor([-1.0, -2.0, -0.5 + math.log(2.0)])
    settings = DeepSpeedLearnerConfig(kl_coef=0.1)
    parts = policy_loss(logprobs, terms(reference_logprobs=reference, advantages=torch.zeros(3)), settings)
    k3 = 2.0 - math.log(2.0) - 1.0
    assert parts.sums["policy/kl"].item() == pytest.approx(k3 / 4)
    assert parts.loss.item() == pytest.approx(0.1 * k3 / 4)
    parts.loss.backward()
    # d k3 / d logp = 1 - exp(reference - logp) = -1
    assert logprobs.grad.tolist() == pytest.approx([0.0, 0.0, -0.1 / 4])


def test_extreme_differences_stay_finite() -> None:
    logprobs = torch.tensor([-500.0, 0.0, -1.0], requires_grad=True)
    far = torch.tensor([0.0, -500.0, -1.0])
    parts = policy_loss(logprobs, terms(reference_logprobs=far, sampler_logprobs=far), DeepSpeedLearnerConfig())
    parts.loss.backward()
    assert torch.isfinite(parts.loss)
    assert torch.isfinite(logprobs.grad).all()
    assert torch.isfinite(k3_divergence(logprobs, far)).all()


def test_a_part_of_weight_zero_changes_nothing() -> None:
    logprobs = torch.tensor([-9.0, -9.0, -9.0], requires_grad=True)
    parts = policy_loss(logprobs, terms(weights=torch.zeros(3)), DeepSpeedLearnerConfig())
    parts.loss.backward()
    assert logprobs.grad.tolist() == [0.0, 0.0, 0.0]
    assert all(value.item() == 0.0 for value in [*parts.sums.values(), *parts.maxima.values()])
