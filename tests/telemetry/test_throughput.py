from ray_iqa.telemetry.throughput import throughput


def test_rates_are_tokens_over_seconds_of_their_phase() -> None:
    metrics = {"completion/tokens": 1200.0, "time/rollout": 2.0, "time/learn": 4.0, "time/step": 8.0}
    assert throughput(metrics) == {
        "throughput/rollout_tokens_per_s": 600.0,
        "throughput/learn_tokens_per_s": 300.0,
        "throughput/tokens_per_s": 150.0,
    }


def test_missing_counts_and_zero_seconds_give_no_rate() -> None:
    assert throughput({"time/step": 1.0}) == {}
    assert throughput({"completion/tokens": 5.0, "time/step": 0.0}) == {}
