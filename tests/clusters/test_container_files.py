"""What container files copy and install exists; nobody can build an image inside a unit test."""

import re
import tomllib
from pathlib import Path

import pytest
from autoscaler_plan import CLUSTERS, REPOSITORY
from ray.serve._private.utils import call_function_from_import_path

FILES = sorted((CLUSTERS / "docker").glob("*.Dockerfile"))
EXTRAS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_container_file_names_what_is_there(path: Path) -> None:
    text = path.read_text()
    sources = [source for line in re.findall(r"^COPY (.*)$", text, re.M) for source in line.split()[:-1]]
    assert {"ray_iqa", "actors", "serve_app.py", "pyproject.toml"} <= set(sources)
    assert [source for source in sources if not (REPOSITORY / source).exists()] == []
    context = path.with_name(f"{path.name}.dockerignore").read_text().split()
    assert set(sources) == {line.removeprefix("!") for line in context if line.startswith("!")}
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", text)
    assert set(extras.split(",")) <= set(EXTRAS)
    assert "RAY_AUTH_MODE=token" in text
    (middlewares,) = re.findall(r"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=(\S+)", text)
    assert call_function_from_import_path(middlewares)  # as Serve's proxies do


def test_the_light_image_has_no_engine() -> None:
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", (CLUSTERS / "docker/light.Dockerfile").read_text())
    needed = " ".join(requirement for extra in extras.split(",") for requirement in EXTRAS[extra])
    assert "vllm" not in needed
    assert "deepspeed" not in needed
