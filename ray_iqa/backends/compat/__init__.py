"""Patches of the engines, each with the version it is for."""
