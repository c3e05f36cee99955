"""Labelled images, decoding and the composition of steps."""
