"""How a light scorer is fitted: alignment, projection, basis, fine-tuning."""
