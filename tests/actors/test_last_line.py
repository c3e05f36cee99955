"""What Ray's long texts about a lost actor come down to."""

import pytest

from actors.cluster.processes import last_line

REMOTE = "ray::Worker.__init__() (pid=1)\n  File 'x.py', line 1\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f"{REMOTE}ray_iqa.errors.ConfigError: policy.model must be a folder, got 'foo/bar'",
            "policy.model must be a folder, got 'foo/bar'",
        ),
        (f"{REMOTE}ray_iqa.errors.DataError: of ray_iqa.errors.ConfigError: no\n", "of ray_iqa.errors.ConfigError: no"),
        (f"{REMOTE}ValueError: no such file", "ValueError: no such file"),
        (
            "It was killed. Some common causes include a reboot.\nThe actor never ran - it was cancelled.",
            "It was killed.",
        ),
    ],
)
def test_the_reason_alone_is_left(text: str, said: str) -> None:
    assert last_line(RuntimeError(text)) == said
