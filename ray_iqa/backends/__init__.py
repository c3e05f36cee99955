"""The engines: vLLM draws completions, DeepSpeed learns, and weights travel between the two."""
