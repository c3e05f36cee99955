"""Questions put to the policy and what its answers mean."""
