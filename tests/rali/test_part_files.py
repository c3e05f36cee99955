from pathlib import Path

import pyarrow as pa
import pytest

from ray_iqa.errors import CheckpointError, OutputError
from ray_iqa.rali.annotations.parquet_parts import PartFiles, write_hidden


def table(*values: int) -> pa.Table:
    return pa.table({"x": list(values), "y": list(values)})


def test_rows_are_there_once_added_and_never_before(tmp_path: Path) -> None:
    parts = PartFiles(tmp_path / "records")
    second, first = write_hidden(parts.folder, table(2)), write_hidden(parts.folder, table(0, 1))
    assert parts.table(["x"]).num_rows == 0
    parts.add(first)
    parts.add(second)
    assert parts.table(["x"]).to_pydict() == {"x": [0, 1, 2]}
    assert [path.name for path in parts.paths()] == ["part-000000.parquet", "part-000001.parquet"]


def test_what_a_killed_job_left_is_removed_and_numbers_go_on(tmp_path: Path) -> None:
    parts = PartFiles(tmp_path)
    parts.add(write_hidden(tmp_path, table(0)))
    write_hidden(tmp_path, table(1))
    again = PartFiles(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["part-000000.parquet"]
    again.add(write_hidden(tmp_path, table(2)))
    assert again.table(["y"]).to_pydict() == {"y": [0, 2]}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "part-000003.parquet").write_bytes(b"PAR1")
    with pytest.raises(CheckpointError, match=r"part-000003\.parquet is .*; remove the file, and the job"):
        PartFiles(tmp_path).table(["x"])


def test_a_folder_that_cannot_be_written_is_an_output_that_failed() -> None:
    with pytest.raises(OutputError, match=r"/proc/\.partial-\w+ cannot be written"):
        write_hidden(Path("/proc"), table(0))
