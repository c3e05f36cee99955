"""Models that answer requests, decoding and batching; no wire types."""
