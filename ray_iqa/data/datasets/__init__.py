"""Public datasets: from the files as distributed, and the layouts seen in the wild, to canonical rows."""
