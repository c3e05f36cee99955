"""Exit codes of commands beside 0, all is well."""

import signal

FAILURE, USAGE = 1, 2
UNREAD = 128 + signal.SIGPIPE
"""The reader of standard output, such as `head`, went away; what was left to write is dropped."""
SOME_FAILED = 3
"""Done, but some pictures have no answer; the output says which."""
