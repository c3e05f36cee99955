"""A run's folders -> one HTML page with everything about it, and the figures as files."""
