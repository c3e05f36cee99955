"""The light scorer: image tower, head, preprocessing, the folder it is kept in."""
