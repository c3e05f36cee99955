"""The version that an exported folder tells."""

from pathlib import Path

import pytest

from ray_iqa.errors import DataError
from ray_iqa.policy.exported_version import read_policy_version, write_policy_version
from ray_iqa.types import Progress


def test_a_folder_tells_what_was_written_and_others_count_as_untrained(tmp_path: Path) -> None:
    assert read_policy_version(str(tmp_path)) == read_policy_version("Qwen/Qwen2.5-VL-7B-Instruct") == 0
    write_policy_version(tmp_path, Progress(step=210, policy_version=200))
    assert read_policy_version(str(tmp_path)) == 200


@pytest.mark.parametrize("content", ["200", "{}", "not JSON", '{"policy_version": "many"}'])
def test_another_content_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "policy_version.json").write_text(content)
    with pytest.raises(DataError, match=r"policy_version\.json must hold"):
        read_policy_version(str(tmp_path))
