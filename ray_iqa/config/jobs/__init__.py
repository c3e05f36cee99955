"""Root configurations of the jobs beside training."""
