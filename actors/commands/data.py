"""`ray-iqa data synth | list | check | convert | split`: file commands, thin entries to `ray_iqa`."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_iqa.errors import DataError
from ray_iqa.files import writable_file, writable_folder

if TYPE_CHECKING:
    from ray_iqa.data.rows import ManifestRow


def synthesise(folder: str, size: int, kinds: Sequence[str] | None, **how: Any) -> int:  # noqa: ANN401 - numbers and seed
    """Write a distortion ladder, see `quickstart.synthesise.synthesise`; the exit code."""
    from ray_iqa.quickstart import synthesise as ladder
    from ray_iqa.quickstart.distortions import kinds_sentence, visible_kinds

    kinds = visible_kinds(size) if kinds is None else kinds
    manifests = ladder.synthesise(folder, size=size, kinds=kinds, **how)
    sys.stdout.write(f"Pictures {kinds_sentence(kinds)}\nWrote {' and '.join(map(str, manifests))}\n")
    return 0


def list_datasets(names: Sequence[str]) -> int:
    """Print what is known of public datasets; the exit code."""
    from ray_iqa.data.datasets.listing import PUBLIC_DATASETS, public_dataset

    chosen = [public_dataset(name) for name in names] or PUBLIC_DATASETS
    for dataset in chosen:
        sys.stdout.write(
            f"{dataset.name}: {dataset.title}, {dataset.num_images:,} images\n"
            f"  labels    {dataset.labels}\n"
            f"  licence   {dataset.licence}\n"
            f"  citation  {dataset.citation}\n"
            f"  obtain    {dataset.obtain}\n"
        )
    return 0


def check(manifests: Sequence[Path], policy: str | None, *, part: bool, labels_only: bool) -> int:
    """Print what is wrong or doubtful in manifests; the exit code, 1 where something is wrong."""
    from ray_iqa.config.policy import PolicyConfig
    from ray_iqa.config.rollout import VllmRolloutConfig
    from ray_iqa.data.checks.check import check_rows
    from ray_iqa.data.checks.finding import Finding
    from ray_iqa.data.manifest import read_located
    from ray_iqa.data.rows import unique_rows
    from ray_iqa.runs.preflight import check_hub, check_model, check_pictures

    placed = ((f"{file}: {row.path}", row) for file in manifests for row in read_located(file))
    rows = unique_rows(placed)
    findings = check_rows(rows, complete=not part, open_images=not labels_only)
    if policy is not None:
        check_model(policy)
        check_hub(policy)
        try:
            check_pictures([row.path for row in rows], PolicyConfig(model=policy), VllmRolloutConfig())
        except DataError as error:
            findings.append(Finding(severity="error", check="policy", dataset="all", message=str(error)))
    sys.stdout.write("".join(f"{finding}\n" for finding in findings))
    num_errors = sum(finding.severity == "error" for finding in findings)
    sys.stdout.write(f"{len(rows):,} rows of {len({row.dataset for row in rows})} datasets, {num_errors} errors\n")
    return 1 if num_errors else 0


def convert(source: Path, out: Path, read: str, write: str, images: Path | None, **told: Any) -> int:  # noqa: ANN401 - of Interpretation
    """Read one format, write another; the exit code."""
    from ray_iqa.answers.prompt import QUESTION
    from ray_iqa.data.convert import READ, WRITTEN, Interpretation, read_source, write_target

    if write not in WRITTEN:
        raise DataError(f"--to must be one of {', '.join(WRITTEN)}, got {write!r}")
    if read not in READ:
        raise DataError(f"--from must be one of {', '.join(READ)}, got {read!r}")
    told["scale"] = told["scale"] and tuple(told["scale"])
    told["columns"] = _pairs(told["columns"], "--columns")
    (writable_folder if write == "deqa" else writable_file)(out)
    rows = read_source(read, source, Interpretation(images=images, **told))
    write_target(write, out, rows, images or (source if source.is_dir() else source.parent), QUESTION)
    sys.stdout.write(f"{out}: {len(rows):,} rows, {_counts(rows)}\n")
    return 0


def split(
    manifest: Path, out: Path, shares: Sequence[str], lists: Path | None, published: str | None, seed: int
) -> int:
    """Write a manifest with splits; the exit code."""
    from ray_iqa.data.formats.split_lists import read_split_list, split_by_lists
    from ray_iqa.data.manifest import read_located, write_located
    from ray_iqa.data.split import published_split, split_by_reference
    from ray_iqa.data.tables import require_suffix

    require_suffix(writable_file(out))
    rows = read_located(manifest)
    if published is not None:
        rows = published_split(rows, published)
    elif lists is not None:
        rows = split_by_lists(rows, read_split_list(lists))
    else:
        rows = split_by_reference(rows, _shares(shares), seed)
    write_located(out, rows)
    sys.stdout.write(f"{out}: {_counts(rows)}\n")
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
