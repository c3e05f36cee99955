"""`ray-iqa submit` where no cluster answers."""

import pytest

from actors.cli import main


def test_submit_takes_options_before_the_name_and_an_error_names_the_proxy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert main(["submit", "name", "--address", "http://127.0.0.1:1", "--", "train"]) == 1
    assert "options of submit come before the name of the job, got '--address'" in capsys.readouterr().err
    assert main(["submit", "--address", "http://cluster.example:1", "name", "--", "train"]) == 1
    assert "http://cluster.example:1 through the proxy http://127.0.0.1:9: " in capsys.readouterr().err
    assert main(["submit", "--address", "http://127.0.0.1:1", "name", "--", "train"]) == 1
    assert "proxy" not in capsys.readouterr().err
