"""Ray itself: joining a cluster, placement, processes, signals, submitting."""
