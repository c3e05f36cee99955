"""The profile of a run: Ray's own timeline of every call of every actor."""

import logging
from pathlib import Path

import ray
from ray.exceptions import RayError

from ray_iqa.files import whole_file

logger = logging.getLogger(__name__)


def write_timeline(run_dir: Path) -> None:
    """Write ``timeline.json``, a Chrome trace; a cluster that is gone takes its timeline along."""
    file = run_dir / "timeline.json"
    try:
        with whole_file(file) as partial:
            ray.timeline(str(partial))
    except (RayError, RuntimeError, OSError) as error:
        logger.warning("no %s: %s", file, error)
