"""Small copies of public datasets, written in the exact form of their download, traps included."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openpyxl
import xlwt
from PIL import Image
from scipy.io import savemat


def touch_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "grey").save(path)


def write_lines(path: Path, *lines: str, end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())


def write_workbook(path: Path, sheets: dict[str, Sequence[Sequence[object]]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".xls":
        return _write_xls(path, sheets)
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    return workbook.save(path)


def _write_xls(path: Path, sheets: dict[str, Sequence[Sequence[object]]]) -> None:
    workbook = xlwt.Workbook()
    for name, rows in sheets.items():
        sheet = workbook.add_sheet(name)
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                sheet.write(i, j, value)
    workbook.save(path)


def write_live_challenge(root: Path, names: Sequence[str], mos: Sequence[float], std: Sequence[float]) -> None:
    """Cell array [n, 1] of names; scores [1, n]."""
    (root / "Data").mkdir(parents=True)
    cells = np.empty((len(names), 1), dtype=object)
    cells[:, 0] = [np.array([name]) for name in names]
    savemat(root / "Data/AllImages_release.mat", {"AllImages_release": cells})
    savemat(root / "Data/AllMOS_release.mat", {"AllMOS_release": np.array([mos])})
    savemat(root / "Data/AllStdDev_release.mat", {"AllStdDev_release": np.array([std])})


def write_live(root: Path, *, realigned: bool) -> None:
    """982 rows; the first of every five is pristine. The i-th image (from 0) has DMOS i / 10."""
    root.mkdir(parents=True, exist_ok=True)
    scores, pristine = np.arange(982) / 10, (np.arange(982) % 5 == 0).astype(np.uint8)
    names = np.empty((1, 982), dtype=object)
    names[0, :] = [f"ref{index % 29}.bmp" for index in range(982)]
    savemat(root / "refnames_all.mat", {"refnames_all": names})
    savemat(root / "dmos.mat", {"dmos": scores[None], "orgs": pristine[None]})
    if realigned:
        # The realigned scores leave 0 to 100 at both ends.
        content = {"dmos_new": scores[None] * 1.2 - 3, "dmos_std": np.full((1, 982), 7.5), "orgs": pristine[None]}
        savemat(root / "dmos_realigned.mat", content)
