"""Weights on their way from learner to sampler."""
