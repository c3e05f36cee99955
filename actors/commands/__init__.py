"""The command line: arguments, and commands that need no cluster."""
