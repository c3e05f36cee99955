"""From the answers of a step to rewards."""
