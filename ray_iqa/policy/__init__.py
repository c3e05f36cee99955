"""The vision-language model in transformers: inputs, log-probabilities, loss."""
