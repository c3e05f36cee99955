"""What jobs that write part files have in common: a bar that counts what is on disk, and the one who names files."""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ray_iqa.rali.annotations.parquet_parts import PartFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """What one job did; start-up and first file are told apart from the rate, which they say nothing about."""

    num_images: int
    num_failed: int
    start_up_seconds: float  # to the first file, whose pictures were then done
    seconds: float  # from there to the last file
    images_per_second: float | None  # of the pictures in the files after the first; None with a single file


def prepare_pipeline() -> None:
    """Ray Data without bars, for ours counts what is on disk, and with a worker's errors as they were raised."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.raise_original_map_exception = True
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # the error comes to the driver, which says it


def add_parts(
    rows: Iterable[Mapping[str, Any]],  # Any: columns of a Ray Data row
    parts: PartFiles,
    title: str,
    *,
    num_done: int,
    num_pending: int,
) -> JobRecord:
    """Give each hidden file that arrives its place.

    Args:
        rows: with ``file`` (name of a hidden file), ``num_images`` and ``num_failed``.
        parts: the output.
        title: of the bar on standard error.
        num_done: pictures that earlier jobs wrote.
        num_pending: pictures of this one.
    """
    began = time.perf_counter()
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[failed]} failed"), console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=num_done + num_pending, completed=num_done, failed=0)
        found: list[tuple[float, int]] = []  # when, pictures
        failed = 0
        for row in rows:
            parts.add(row["file"])
            failed += row["num_failed"]
            found.append((time.perf_counter(), row["num_images"]))
            progress.update(bar, advance=row["num_images"], failed=failed)
    first, last = (found[0][0], found[-1][0]) if found else (began, began)
    num_images = sum(count for _, count in found)
    return JobRecord(
        num_images=num_images,
        num_failed=failed,
        start_up_seconds=first - began,
        seconds=last - first,
        images_per_second=(num_images - found[0][1]) / (last - first) if last > first else None,
    )
