"""How well predictions agree with human labels."""
