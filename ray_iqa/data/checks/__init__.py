"""What can be wrong with a labelled dataset, one kind of trouble per file."""
