"""`ray-iqa data check`: everything that can be found wrong with labelled datasets before they are used."""

from collections.abc import Iterator, Sequence

from ray_iqa.data.checks.direction import check_direction
from ray_iqa.data.checks.files import ImageFacts, check_files, inspect_images
from ray_iqa.data.checks.finding import Finding
from ray_iqa.data.checks.labels import check_count, check_scale, check_scenes, check_spread
from ray_iqa.data.checks.leakage import check_contents, check_pictures
from ray_iqa.data.contents import with_contents, without_contents
from ray_iqa.data.datasets.listing import known_dataset
from ray_iqa.data.rows import ManifestRow


def check_rows(rows: Sequence[ManifestRow], *, complete: bool = True, open_images: bool = True) -> list[Finding]:
    """Check the rows of one or several datasets, each for itself and all against each other.

    Args:
        rows: with absolute paths.
        complete: a public dataset must have all its images; False for a part of one.
        open_images: read and decode every image; without it files are not looked at.
    """
    rows = with_contents(rows)
    findings: list[Finding] = []
    facts: list[ImageFacts] = []
    for dataset in sorted({row.dataset for row in rows}):
        own = [row for row in rows if row.dataset == dataset]
        findings += _check_labels(own, complete=complete, open_images=open_images)
        if open_images:
            own_facts = inspect_images(own)
            findings += check_files(own_facts)
            facts += own_facts
    return [*findings, *check_contents(rows), *check_pictures(facts)]


def _check_labels(rows: Sequence[ManifestRow], *, complete: bool, open_images: bool) -> Iterator[Finding]:
    known = known_dataset(rows[0].dataset)
    if known is not None and complete:
        yield from check_count(rows, known)
    yield from check_scale(rows, known)
    yield from check_spread(rows, known)
    yield from check_scenes(rows, known)
    if problem := without_contents(rows):
        yield Finding(severity="error", check="references", dataset=rows[0].dataset, message=problem)
    yield from check_direction(rows, known, open_images=open_images)
