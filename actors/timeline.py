"""The profile of a run: Ray's own timeline of every call of every actor."""

import logging
from pathlib import Path

import ray
from ray.exceptions import RayError

logger = logging.getLogger(__name__)


def write_timeline(run_dir: Path) -> None:
    """Write ``timeline.json``, a Chrome trace; a cluster that is gone takes its timeline along."""
    file = run_dir / "timeline.json"
    try:
        ray.timeline(str(file))
    except (RayError, RuntimeError, OSError) as error:
        logger.warning("no %s: %s", file, error)
