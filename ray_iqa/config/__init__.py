"""Typed configuration, one section per owner."""
