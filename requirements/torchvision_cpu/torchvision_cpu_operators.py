"""Lets a torchvision built for CUDA be imported beside a CPU build of torch.

The package index has no CPU build of torchvision, and the Python half of the CUDA build registers fake kernels for
operators that only its native half declares. torch calls :func:`declare_operators`, an entry point of the group
``torch.backends``, at the end of every ``import torch``; no other hook runs early enough in child processes that
vLLM starts itself. The operators stay without kernels: calling them fails, the transforms work. `make setup` installs
this beside the pinned packages of requirements/cpu.txt; the wheel of ray_iqa has nothing of it. To be removed once the
package index has a CPU build of torchvision.
"""

from importlib.machinery import PathFinder
from importlib.util import find_spec

_SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def declare_operators() -> None:
    """Declare ``torchvision::nms`` and ``torchvision::qnms`` where torchvision's own operators do not load.

    Does nothing on a GPU build of torch, without torchvision, and where torchvision's native library loads.
    torchvision itself is not imported.
    """
    import torch  # not at module level: torch may be importing this module, or this module may be imported first

    if torch.version.cuda is not None or torch.version.hip is not None or _native_operators_load():
        return
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", schema)


def _native_operators_load() -> bool:
    """True without torchvision too: then there is nothing to declare."""
    import torch

    package = find_spec("torchvision")
    if package is None:
        return True
    library = PathFinder.find_spec("_C", package.submodule_search_locations)
    if library is None or library.origin is None:
        return False
    try:
        torch.ops.load_library(library.origin)  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return True
