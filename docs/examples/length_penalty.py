"""A reward term: an answer loses up to 1 as it grows from 16 to 24 tokens."""

import numpy as np


def length_penalty(step):
    return -np.clip((step.num_tokens - 16) / 8, 0, 1)
