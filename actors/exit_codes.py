"""Exit codes of commands beside 0, all is well."""

FAILURE, USAGE = 1, 2
SOME_FAILED = 3
"""Done, but some pictures have no answer; the output says which."""
