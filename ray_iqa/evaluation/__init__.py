"""From predictions to numbers, tests and tables."""
