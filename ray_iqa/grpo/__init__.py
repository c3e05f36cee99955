"""Group-relative policy optimization without the learner: rollout schedule, advantages, training batch."""
