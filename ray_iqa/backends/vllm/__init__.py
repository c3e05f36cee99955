"""vLLM: samples of training, answers of the endpoint."""
