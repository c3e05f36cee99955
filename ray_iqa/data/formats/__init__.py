"""Interchange formats of the field: readers to canonical rows and writers from them."""
