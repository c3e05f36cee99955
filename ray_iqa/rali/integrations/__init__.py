"""The light scorer in other tools, and the files of other tools as a light scorer."""
