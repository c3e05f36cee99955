"""An object store in memory, which fsspec has, stands for those on networks."""

import io
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from ray_iqa.data.images import load_image
from ray_iqa.data.manifest import load_manifest
from ray_iqa.data.remote import list_files, read_bytes
from ray_iqa.errors import ConfigError, DataError
from ray_iqa.runs.preflight import load_images

SUFFIXES = (".png", ".jpg")


@pytest.fixture(scope="module", autouse=True)
def bucket() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (5, 4), (10, 20, 30)).save(buffer, "PNG")
    store = fsspec.filesystem("memory")
    for name in ("b/a.png", "b/c/d.JPG", "b/notes.txt", "b/c/e.png"):
        store.pipe_file(f"/{name}", buffer.getvalue())


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("memory://b", ["a.png", "c/d.JPG", "c/e.png"]),
        ("memory://b/c/", ["c/d.JPG", "c/e.png"]),
        ("memory://b/*.png", ["a.png"]),
        ("memory://b/**/*.png", ["a.png", "c/e.png"]),
        ("memory://b/a.png", ["a.png"]),
    ],
)
def test_prefixes_patterns_and_files(url: str, names: list[str]) -> None:
    found = list_files(url, SUFFIXES)
    assert [name.removeprefix("memory://").removeprefix("/") for name in found] == [f"b/{name}" for name in names]
    assert {load_image(name).size for name in found} == {(5, 4)}


def test_what_cannot_be_had_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"memory://empty must hold files that end in \.png, \.jpg, found none"):
        list_files("memory://empty", SUFFIXES)
    with pytest.raises(ConfigError, match="cannot list nowhere://b: Protocol not known: nowhere"):
        list_files("nowhere://b", SUFFIXES)
    with pytest.raises(DataError, match=r"memory://b/missing\.png: no such file"):
        read_bytes("memory://b/missing.png")
    with pytest.raises(DataError, match=r"memory://b/notes\.txt\.x: no such file"):
        load_image("memory://b/notes.txt.x")


def test_manifests_may_name_urls(tmp_path: Path) -> None:
    lines = "dataset,image_id,path,mos,direction\nd,1,memory://b/a.png,3,higher\nd,2,x.png,4,higher\n"
    (tmp_path / "m.csv").write_text(lines)
    assert [image.image_path for image in load_manifest(tmp_path / "m.csv", None)] == [
        "memory://b/a.png",
        str(tmp_path / "x.png"),
    ]


def test_manifests_may_lie_at_urls() -> None:
    lines = "dataset,image_id,path,mos,direction,split\nd,1,c/e.png,3,higher,train\nd,2,/x.png,4,higher,val\n"
    fsspec.filesystem("memory").pipe_file("/b/m.csv", lines.encode())
    [image] = load_images(["memory://b/m.csv"], "train")
    assert image.image_path == "memory://b/c/e.png"
    assert load_image(image.image_path).size == (5, 4)
    assert [image.image_path for image in load_manifest("memory://b/m.csv", "val")] == ["/x.png"]
    with pytest.raises(DataError, match=r"memory://b/none\.csv: no such file"):
        load_images(["memory://b/none.csv"], "train")
    fsspec.filesystem("memory").pipe_file("/b/bad.csv", lines.replace(",3,", ",n/a,").encode())
    with pytest.raises(DataError, match=r"bad\.csv line 2: mos must be a number, got 'n/a'"):
        load_images(["memory://b/bad.csv"], "train")
