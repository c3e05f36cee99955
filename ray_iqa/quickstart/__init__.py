"""A demonstration from nothing: pictures, labels, and a tiny policy that learns to judge them."""
