"""`ray-iqa data` from the command line: a public dataset all the way to a checked, split manifest."""

import json
from pathlib import Path

import pytest

from actors.cli import main
from ray_iqa.data.manifest import read_located, read_rows


def download(root: Path, num_references: int) -> Path:
    (root / "images").mkdir(parents=True)
    lines = [
        f"I{number:02d}_{kind:02d}_{level:02d}.png,I{number:02d}.png,{4.9 - number / 100 - 0.6 * level:.2f},0.64"
        for number in range(1, num_references + 1)
        for kind in range(1, 26)
        for level in range(1, 6)
    ]
    (root / "dmos.csv").write_text("\n".join(["dist_img,ref_img,dmos,var", *lines]) + "\n")
    return root


def test_from_the_download_to_a_checked_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kadid = download(tmp_path / "kadid10k", 81)
    manifest, split = kadid / "kadid.parquet", kadid / "split.csv"
    assert main(["data", "convert", str(kadid), str(manifest), "--from", "kadid10k"]) == 0
    assert read_rows(manifest)[0].path == "images/I01_01_01.png"
    assert main(["data", "split", str(manifest), str(split), "--published", "visualquality-r1"]) == 0
    assert "6,125 train, 2,000 val, 2,000 test" in capsys.readouterr().out
    assert main(["data", "check", str(split), "--labels-only"]) == 0
    assert capsys.readouterr().out == "10,125 rows of 1 datasets, 0 errors\n"
    assert main(["data", "check", str(split)]) == 1
    assert "10,125 of 10,125 images are missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("to", "name", "more"),
    [
        ("manifest", "rows.jsonl", []),
        ("pyiqa", "meta.csv", ["--split-column", "official_split"]),
        ("deqa", "metas", []),
        ("q-align", "meta.json", []),
        ("visualquality-r1-txt", "list.txt", ["--std-in-mos-units"]),
        ("visualquality-r1-jsonl", "train.jsonl", []),
    ],
)
def test_every_format_there_and_back(to: str, name: str, more: list[str], tmp_path: Path) -> None:
    kadid = download(tmp_path / "kadid10k", 3)
    first, out, last = kadid / "first.csv", kadid / name, kadid / "last.csv"
    assert main(["data", "convert", str(kadid), str(first), "--from", "kadid10k", "--split", "train"]) == 0
    images = ["--images", str(kadid / "images")]
    assert main(["data", "convert", str(first), str(out), "--from", "manifest", "--to", to, *images]) == 0
    told = ["--dataset", "kadid10k", *images, *more]
    assert main(["data", "convert", str(out), str(last), "--from", to, *told]) == 0
    before, after = read_located(first), read_located(last)
    assert [row.path for row in after] == [row.path for row in before]
    labels = [row.mos for row in before]
    if to == "visualquality-r1-jsonl":  # rescaled by the extremes, 4.9 - 0.03 - 3.0 and 4.9 - 0.01 - 0.6
        labels = [1 + 4 * (mos - 1.87) / (4.29 - 1.87) for mos in labels]
    assert [row.mos for row in after] == pytest.approx(labels)
    if to in ("manifest", "pyiqa", "deqa", "visualquality-r1-txt"):
        assert {row.mos_std for row in after} == {row.mos_std for row in before}


def test_training_files_hold_the_published_question(tmp_path: Path) -> None:
    kadid = download(tmp_path / "kadid10k", 1)
    out = kadid / "train.jsonl"
    command = ["data", "convert", str(kadid), str(out), "--from", "kadid10k", "--to", "visualquality-r1-jsonl"]
    assert main(command) == 0
    first = json.loads(out.read_text().splitlines()[0])
    assert first["image"] == ["images/I01_01_01.png"]
    question = first["conversations"][0]["value"]
    assert question.startswith("You are doing the image quality assessment task. Here is the question: What is your")
    assert question.endswith("with 1 representing very poor quality and 5 representing excellent quality.")


def test_tables_and_seeded_shares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"{index}.png,{index % 7}" for index in range(20)]
    (tmp_path / "mine.csv").write_text("\n".join(["img,score", *lines]) + "\n")
    command = ["data", "convert", str(tmp_path / "mine.csv"), str(tmp_path / "rows.csv"), "--from", "table"]
    assert main([*command, "--columns", "path=img", "mos=score", "--direction", "higher"]) == 1
    assert "give --dataset NAME" in capsys.readouterr().err
    command += ["--dataset", "mine"]
    assert main([*command, "--columns", "path=img", "mos=score"]) == 1
    assert "Give --direction higher or lower" in capsys.readouterr().err
    assert main([*command, "--columns", "path=img", "mos=score", "--direction", "higher", "--scale", "0", "6"]) == 0
    split = ["data", "split", str(tmp_path / "rows.csv"), str(tmp_path / "split.csv"), "--shares"]
    assert main([*split, "train=0.8", "test=0.2", "--seed", "3"]) == 0
    first = (tmp_path / "split.csv").read_bytes()
    assert main([*split, "train=0.8", "test=0.2", "--seed", "3"]) == 0
    assert (tmp_path / "split.csv").read_bytes() == first
    assert main([*split, "train=most"]) == 1
    assert "--shares must be SPLIT=SHARE with numbers" in capsys.readouterr().err


def test_names_of_the_field_keep_contents_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"kadid10k/I{reference:02d}_01_{level:02d}.png" for reference in range(1, 11) for level in range(1, 6)]
    meta, rows, split = tmp_path / "test_kadid.json", tmp_path / "rows.csv", tmp_path / "split.csv"
    meta.write_text(json.dumps([{"id": f"{name}->{i / 10}", "image": name} for i, name in enumerate(names)]))
    convert = ["data", "convert", str(meta), str(rows), "--from", "q-align", "--dataset"]
    assert main([*convert, "kadid10k"]) == 0
    assert capsys.readouterr().out == f"{rows}: 50 rows, 50 no split\n"
    assert main(["data", "split", str(rows), str(split)]) == 0
    found = read_rows(split)
    assert len({(row.ref_id, row.split) for row in found}) == len({row.ref_id for row in found}) == 10
    assert main([*convert, "live"]) == 0
    assert main(["data", "split", str(rows), str(split)]) == 1
    assert "50 of 50 rows of dataset 'live' have no ref_id" in capsys.readouterr().err


def test_an_image_in_two_manifests_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifests = [tmp_path / name / "m.csv" for name in "ab"]
    for manifest in manifests:
        manifest.parent.mkdir()
        manifest.write_text("dataset,image_id,path,mos,direction\nd,1,x.png,1,higher\n")
    assert main(["data", "check", *map(str, manifests)]) == 1
    first, second = (f"{tmp_path}/{name}/m.csv: {tmp_path}/{name}/x.png" for name in "ab")
    sentence = f"{second}: image_id '1' of dataset 'd' is already at {first}"
    assert sentence in capsys.readouterr().err


def test_options_that_would_overrule_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.csv").write_text("a,b,m\n1.png,2.png,1\n")
    files = str(tmp_path / "mine.csv"), str(tmp_path / "o.csv")
    convert = ["data", "convert", *files, "--direction", "higher", "--from"]
    assert main([*convert, "table", "--columns", "path=a", "mos=m", "path=b"]) == 1
    assert "--columns must be NAME=VALUE, each name once, got 'path=b'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*convert, "pyiqa", "--split-column", "x", "--split-pickle", "y"])


def test_list_prints_licence_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "piq23-overall"]) == 0
    text = capsys.readouterr().out
    assert "non-commercial" in text
    assert "Chahine" in text
    assert main(["data", "list"]) == 0
    assert capsys.readouterr().out.count("  licence   ") == 20


def test_unknown_kinds_are_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["data", "convert", str(tmp_path), str(tmp_path / "x.csv"), "--from"]
    assert main([*command, "kadid"]) == 1
    assert "--from must be one of manifest, pyiqa" in capsys.readouterr().err
    assert main([*command, "kadid10k", "--to", "yaml"]) == 1
    assert "--to must be one of manifest" in capsys.readouterr().err


def test_a_ladder_of_chosen_size_says_what_it_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--images", "24", "--val-images", "4", "--test-images", "6"]
    assert main(["data", "synth", str(tmp_path), *sizes]) == 0
    said = capsys.readouterr().out
    assert "distorted by gaussian_blur, white_noise, nearest, contrast; left out: motion_blur, " in said
    manifests = [tmp_path / name / "manifest.csv" for name in ("ladder-a", "ladder-b")]
    assert all(str(manifest) in said for manifest in manifests)
    assert sum(len(read_rows(manifest)) for manifest in manifests) == 34
    assert main(["data", "synth", str(tmp_path), "--seed", "-1"]) == 1
    assert "seed -1" in capsys.readouterr().err
