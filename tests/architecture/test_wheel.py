"""What pip installs: the two packages and the Serve application, and nothing of the tests."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_both_packages_and_the_serve_application(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    [wheel] = tmp_path.glob("ray_iqa-*.whl")
    names = [name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert {name.split("/")[0] for name in names} == {"ray_iqa", "actors", "serve_app.py"}
    tracked = subprocess.run(["git", "ls-files", "ray_iqa", "actors"], cwd=ROOT, check=True, capture_output=True)
    assert set(tracked.stdout.decode().split()) <= set(names)
