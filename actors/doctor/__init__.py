"""`ray-iqa doctor`."""
