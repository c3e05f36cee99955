"""What container files copy and install exists; nobody can build an image inside a unit test."""

import re
import tomllib
from pathlib import Path

import pytest
from autoscaler_plan import CLUSTERS, REPOSITORY
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
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
    for extras in re.findall(r"'\.\[([\w,]+)\]'", text):
        assert set(extras.split(",")) <= set(EXTRAS)
    assert "RAY_AUTH_MODE=token" in text
    (middlewares,) = re.findall(r"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=(\S+)", text)
    assert call_function_from_import_path(middlewares)  # as Serve's proxies do


def test_the_light_image_has_no_engine() -> None:
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", (CLUSTERS / "docker/light.Dockerfile").read_text())
    needed = " ".join(requirement for extra in extras.split(",") for requirement in EXTRAS[extra])
    assert "vllm" not in needed
    assert "deepspeed" not in needed


def test_the_full_image_has_one_set_of_versions_that_satisfies_the_extras() -> None:
    assert "-r requirements/gpu.txt" in (CLUSTERS / "docker/full.Dockerfile").read_text()
    lines = (REPOSITORY / "requirements/gpu.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    needed = [Requirement(text) for extra in ("train", "serve", "report", "clouds") for text in EXTRAS[extra]]
    assert {"vllm", "torch", "transformers", "deepspeed", "ray", "boto3"} <= {need.name for need in needed}
    wrong = [str(need) for need in needed if pinned[canonicalize_name(need.name)] not in need.specifier]
    assert wrong == []
