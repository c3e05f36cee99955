"""Keeps scikit-learn out of processes that only import transformers."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any


@contextmanager
def without_scikit_learn() -> Iterator[None]:
    """Around a first import of transformers' models, or of open_clip, which imports them where it finds them.

    transformers loads scikit-learn, and with it pandas and scipy.stats, wherever it is installed, for one threshold of
    assisted generation, which nothing here uses: two seconds of a process, a quarter of what open_clip takes.
    """
    if find_spec("transformers") is None:
        yield
        return
    utils: Any = import_module("transformers.utils")
    found = utils.is_sklearn_available
    utils.is_sklearn_available = lambda: False
    try:
        yield
    finally:
        utils.is_sklearn_available = found
