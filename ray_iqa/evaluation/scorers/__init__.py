"""Anything that gives pictures a score, behind one method."""
