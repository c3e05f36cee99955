"""`ray-iqa data list | check | convert | split`: file commands, thin entries to `ray_iqa.data`."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ray_iqa.errors import DataError
from ray_iqa.files import writable_file, writable_folder

if TYPE_CHECKING:
    from ray_iqa.data.rows import ManifestRow

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_data_commands(commands: "Commands") -> None:
    """Add the sub-commands to the parser of `ray-iqa data`."""
    listing = commands.add_parser("list", help="public datasets: labels, licence, citation, how to obtain")
    listing.add_argument("names", nargs="*", help="all when left out")
    listing.set_defaults(command=_list)

    check = commands.add_parser("check", help="counts, files, duplicates, labels, direction, units, leakage")
    check.add_argument("manifests", nargs="+", type=Path, help="checked one by one and against each other")
    check.add_argument("--part", action="store_true", help="the manifests hold a part of a public dataset")
    check.add_argument("--labels-only", action="store_true", help="do not open the images")
    check.add_argument("--policy", metavar="MODEL", help="folder or hub name of a policy that is to look at the images")
    check.set_defaults(command=_check)

    _add_convert(commands.add_parser("convert", help="a public dataset or an interchange file to another format"))

    split = commands.add_parser("split", help="split a manifest by reference, or as published lists say")
    split.add_argument("manifest", type=Path)
    split.add_argument("out", type=Path)
    how = split.add_mutually_exclusive_group()
    how.add_argument("--shares", nargs="+", metavar="SPLIT=SHARE", default=["train=0.6", "val=0.2", "test=0.2"])
    how.add_argument("--list", type=Path, metavar="FILE", help="csv of name and split, or split.json of DeQA-Score")
    how.add_argument("--published", metavar="PAPER", help="e.g. visualquality-r1 for KADID-10k")
    split.add_argument("--seed", type=int, default=0)
    split.set_defaults(command=_split)


def _add_convert(convert: argparse.ArgumentParser) -> None:
    convert.add_argument("source", type=Path, help="a file, or the folder of a public dataset as distributed")
    convert.add_argument("out", type=Path)
    convert.add_argument("--from", dest="read", required=True, metavar="KIND", help="public dataset or format")
    convert.add_argument("--to", dest="write", default="manifest", metavar="FORMAT")
    convert.add_argument("--images", type=Path, help="the folder that image names are relative to")
    convert.add_argument("--dataset", help="name of the dataset in an interchange file")
    convert.add_argument("--direction", choices=["higher", "lower"], help="which labels are better")
    convert.add_argument("--scale", nargs=2, type=float, metavar=("LOW", "HIGH"), help="ends of the label scale")
    split = convert.add_mutually_exclusive_group()
    split.add_argument("--split", help="the split of all rows")
    split.add_argument("--split-column", help="of a pyiqa csv, e.g. official_split")
    split.add_argument("--split-pickle", type=Path, help="of pyiqa")
    convert.add_argument("--split-number", type=int, default=1, help="which of the splits in a split pickle, from 1")
    convert.add_argument("--std-in-mos-units", action="store_true", help="read the std of a VisualQuality-R1 list")
    convert.add_argument("--columns", nargs="+", default=[], metavar="CANONICAL=COLUMN", help="of a table")
    convert.set_defaults(command=_convert)


def _list(arguments: argparse.Namespace) -> int:
    from ray_iqa.data.datasets.listing import PUBLIC_DATASETS, public_dataset

    chosen = [public_dataset(name) for name in arguments.names] or PUBLIC_DATASETS
    for dataset in chosen:
        sys.stdout.write(
            f"{dataset.name}: {dataset.title}, {dataset.num_images:,} images\n"
            f"  labels    {dataset.labels}\n"
            f"  licence   {dataset.licence}\n"
            f"  citation  {dataset.citation}\n"
            f"  obtain    {dataset.obtain}\n"
        )
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from ray_iqa.config.policy import PolicyConfig
    from ray_iqa.config.rollout import VllmRolloutConfig
    from ray_iqa.data.checks.check import check_rows
    from ray_iqa.data.checks.finding import Finding
    from ray_iqa.data.manifest import read_located
    from ray_iqa.data.rows import unique_rows
    from ray_iqa.runs.preflight import check_model, check_pictures

    placed = ((f"{file}: {row.path}", row) for file in arguments.manifests for row in read_located(file))
    rows = unique_rows(placed)
    findings = check_rows(rows, complete=not arguments.part, open_images=not arguments.labels_only)
    if arguments.policy is not None:
        check_model(arguments.policy)
        try:
            check_pictures([row.path for row in rows], PolicyConfig(model=arguments.policy), VllmRolloutConfig())
        except DataError as error:
            findings.append(Finding(severity="error", check="policy", dataset="all", message=str(error)))
    sys.stdout.write("".join(f"{finding}\n" for finding in findings))
    num_errors = sum(finding.severity == "error" for finding in findings)
    sys.stdout.write(f"{len(rows):,} rows of {len({row.dataset for row in rows})} datasets, {num_errors} errors\n")
    return 1 if num_errors else 0


def _convert(arguments: argparse.Namespace) -> int:
    from ray_iqa.answers.prompt import QUESTION
    from ray_iqa.data.convert import READ, WRITTEN, Interpretation, read_source, write_target

    if arguments.write not in WRITTEN:
        raise DataError(f"--to must be one of {', '.join(WRITTEN)}, got {arguments.write!r}")
    if arguments.read not in READ:
        raise DataError(f"--from must be one of {', '.join(READ)}, got {arguments.read!r}")
    told = Interpretation(
        dataset=arguments.dataset,
        images=arguments.images,
        direction=arguments.direction,
        scale=None if arguments.scale is None else (arguments.scale[0], arguments.scale[1]),
        split=arguments.split,
        split_column=arguments.split_column,
        split_pickle=arguments.split_pickle,
        split_number=arguments.split_number,
        std_in_mos_units=arguments.std_in_mos_units,
        columns=_pairs(arguments.columns, "--columns"),
    )
    if arguments.write == "deqa":
        writable_folder(arguments.out)
    else:
        writable_file(arguments.out)
    rows = read_source(arguments.read, arguments.source, told)
    images = arguments.images or (arguments.source if arguments.source.is_dir() else arguments.source.parent)
    write_target(arguments.write, arguments.out, rows, images, QUESTION)
    sys.stdout.write(f"{arguments.out}: {len(rows):,} rows, {_counts(rows)}\n")
    return 0


def _split(arguments: argparse.Namespace) -> int:
    from ray_iqa.data.formats.split_lists import read_split_list, split_by_lists
    from ray_iqa.data.manifest import read_located, write_located
    from ray_iqa.data.split import published_split, split_by_reference
    from ray_iqa.data.tables import require_suffix

    require_suffix(writable_file(arguments.out))
    rows = read_located(arguments.manifest)
    if arguments.published is not None:
        rows = published_split(rows, arguments.published)
    elif arguments.list is not None:
        rows = split_by_lists(rows, read_split_list(arguments.list))
    else:
        rows = split_by_reference(rows, _shares(arguments.shares), arguments.seed)
    write_located(arguments.out, rows)
    sys.stdout.write(f"{arguments.out}: {_counts(rows)}\n")
    return 0


def _counts(rows: Sequence["ManifestRow"]) -> str:
    counts = Counter(row.split or "no split" for row in rows)
    return ", ".join(f"{count:,} {split}" for split, count in counts.items())


def _shares(words: Sequence[str]) -> dict[str, float]:
    shares = _pairs(words, "--shares")
    try:
        return {split: float(share) for split, share in shares.items()}
    except ValueError as error:
        raise DataError(f"--shares must be SPLIT=SHARE with numbers, got {' '.join(words)}") from error


def _pairs(words: Sequence[str], option: str) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, _, value = word.partition("=")
        if not (name and value) or name in pairs:
            raise DataError(f"{option} must be NAME=VALUE, each name once, got {word!r} in {' '.join(words)!r}")
        pairs[name] = value
    return pairs
