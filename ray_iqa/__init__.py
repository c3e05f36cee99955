"""Train a vision-language model to judge image quality by reasoning, then make that judgement cheap."""

__version__ = "0.2.0"
