"""DeepSpeed: one rank of the learner and its part of a checkpoint."""
