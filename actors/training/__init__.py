"""The actors of a training run and its composition root."""
