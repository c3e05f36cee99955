"""Reads the arrays of a scikit-learn PCA out of a joblib file without running anything the file says.

A pickle names functions and calls them. Here a name is either one of the few that rebuild numpy arrays, or a class of
``sklearn.decomposition``, for which an empty stand-in takes the attributes; every other name ends the reading.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler
from numpy.typing import NDArray

from ray_iqa.errors import DataError
from ray_iqa.files import reading
from ray_iqa.rali.model.head import Projection

_ARRAY_NAMES = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),  # bytes of numpy scalars in old pickles
}


def read_pca(file: Path) -> Projection:
    """Mean, components and the root of the variances (IncrementalPCA has them, else ones) of a joblib or pickle file.

    The file must not be compressed.

    Raises:
        ConfigError: no such file.
        DataError: the file names something else than arrays and a decomposition, or lacks one of the arrays.
    """
    with reading(file, "a joblib file of a PCA"), file.open("rb") as stream:
        content = _Unpickler(str(file), stream, ensure_native_byte_order=True).load()
    if not isinstance(content, _Decomposition):
        raise DataError(f"{file} must hold a PCA of scikit-learn, found {type(content).__name__}")
    mean, components = _array(content, "mean_", file), _array(content, "components_", file)
    if mean.ndim != 1 or components.shape[1:] != mean.shape:
        raise DataError(
            f"{file}: mean_ must be [D] and components_ [C, D], got {list(mean.shape)}, {list(components.shape)}"
        )
    scale = np.sqrt(_array(content, "var_", file)) if hasattr(content, "var_") else np.ones_like(mean)
    return Projection(mean=mean, scale=scale, components=components)


class _Decomposition:
    """Takes the attributes of any scikit-learn decomposition."""


class _PlainArray(NumpyArrayWrapper):  # type: ignore[misc]  # joblib has no types
    """joblib's array placeholder, without arrays of objects, which are pickles inside the pickle."""

    def read_array(self, unpickler: Any, ensure_native_byte_order: bool) -> Any:  # noqa: ANN401 - joblib's signature
        if self.dtype.hasobject:
            raise pickle.UnpicklingError("it holds an array of objects; only numbers are read")
        return super().read_array(unpickler, ensure_native_byte_order)


class _Unpickler(NumpyUnpickler):  # type: ignore[misc]  # joblib has no types
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - whatever the pickle names
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return _PlainArray
        if module.split(".")[:2] == ["sklearn", "decomposition"]:
            return _Decomposition
        module = module.replace("numpy.core.", "numpy._core.")
        if (module, name) in _ARRAY_NAMES:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}; only scikit-learn decompositions and arrays are read")


def _array(content: _Decomposition, name: str, file: Path) -> NDArray[np.float32]:
    array = getattr(content, name, None)
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise DataError(f"{file}: the PCA must have an array of numbers {name}, found {type(array).__name__}")
    return array.astype(np.float32)
