"""RALI: the reasoning policy distilled into an image tower and a basis of scored vectors (arXiv 2510.11369)."""
