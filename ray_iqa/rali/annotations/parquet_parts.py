"""The growing output of a job that may be killed: whole Parquet files only, each added once.

Workers write files under hidden names; the one driver, which holds the run directory, renames them. A killed job
thus leaves whole files and hidden ones, which the next job removes, and what a worker of a killed job still writes
is never seen.
"""

import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ray_iqa.data.tables import read_columns
from ray_iqa.errors import CheckpointError, DataError
from ray_iqa.files import PARTIAL, whole_file

_SUFFIX = ".parquet"


class PartFiles:
    """The folder of part files, for the driver."""

    def __init__(self, folder: Path) -> None:
        """Open or create it; hidden files of a killed job are removed."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for stray in folder.glob(f"{PARTIAL}*"):
            stray.unlink(missing_ok=True)
        self._next = max((int(path.stem.removeprefix("part-")) for path in self.paths()), default=-1) + 1

    def paths(self) -> list[Path]:
        """The whole files, in the order they were added."""
        return sorted(self.folder.glob(f"part-*{_SUFFIX}"))

    def table(self, columns: list[str]) -> pa.Table:
        """Some columns of all rows.

        Raises:
            CheckpointError: a file is damaged.
        """
        try:
            tables = [read_columns(path, columns) for path in self.paths()]
        except DataError as error:
            raise CheckpointError(f"{error}; remove the file, and the job writes it again") from error
        return pa.concat_tables(tables) if tables else pa.table({name: [] for name in columns})

    def add(self, hidden: str) -> None:
        """Give a file of `write_hidden` its place; from here on its rows count as done."""
        (self.folder / hidden).rename(self.folder / f"part-{self._next:06d}{_SUFFIX}")
        self._next += 1


def write_hidden(folder: Path, table: pa.Table) -> str:
    """Write a file that nobody sees yet; its name for `PartFiles.add`.

    Raises:
        OutputError: it cannot be written.
    """
    name = f"{PARTIAL}{uuid.uuid4().hex}"
    with whole_file(folder / name) as partial:
        pq.write_table(table, partial)
    return name
