"""`ray-iqa demo`."""
