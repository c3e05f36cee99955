"""Rates derived from a step's counts and seconds."""

RATES = {
    "throughput/rollout_tokens_per_s": ("completion/tokens", "time/rollout"),
    "throughput/learn_tokens_per_s": ("completion/tokens", "time/learn"),
    "throughput/tokens_per_s": ("completion/tokens", "time/step"),
}
"""Metric -> (count, seconds) it is the quotient of. Tokens are sampled ones; prompts are not counted."""


def throughput(metrics: dict[str, float]) -> dict[str, float]:
    """Those ``throughput/*`` metrics whose count and seconds are in ``metrics``."""
    return {
        rate: metrics[count] / metrics[seconds]
        for rate, (count, seconds) in RATES.items()
        if count in metrics and metrics.get(seconds, 0.0) > 0.0
    }
