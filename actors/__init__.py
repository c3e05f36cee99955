"""Ray shells around ray_iqa: placement, actors, jobs and the command line."""
