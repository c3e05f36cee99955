"""A run on disk: its directory, its checkpoints, what is checked before it starts."""
