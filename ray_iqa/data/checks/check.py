"""`ray-iqa data check`: everything that can be found wrong with labelled datasets before they are used."""

from collections.abc import Sequence
from itertools import chain

from ray_iqa.data.checks.direction import check_direction
from ray_iqa.data.checks.files import ImageFacts, check_files, inspect_images
from ray_iqa.data.checks.finding import Finding
from ray_iqa.data.checks.labels import check_count, check_references, check_scale, check_scenes, check_spread
from ray_iqa.data.checks.leakage import check_contents, check_look_alikes, check_same_files
from ray_iqa.data.datasets.listing import known_dataset
from ray_iqa.data.names import whole
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.unique import grouped


def check_rows(rows: Sequence[ManifestRow], *, complete: bool = True, open_images: bool = True) -> list[Finding]:
    """Check the rows of one or several datasets, each for itself and all against each other.

    Args:
        rows: as `read_located` has them.
        complete: a public dataset must have all its images; False for a part of one.
        open_images: read and decode every image; without it files are not looked at.
    """
    findings: list[Finding] = []
    facts: list[ImageFacts] = []
    for dataset, own in sorted(grouped((row.dataset, row) for row in rows).items()):
        known = known_dataset(dataset)
        own_facts = inspect_images(own) if open_images else []
        facts += own_facts
        remarks = {
            "count": check_count(own, known) if complete else (),
            "labels": chain(check_scale(own, known), check_scenes(own, known)),
            "spread": check_spread(own, known),
            "references": check_references(own),
            "direction": check_direction(own, known, open_images=open_images),
            "files": check_files(own_facts),
        }
        findings += [
            Finding(severity=severity, check=check, dataset=dataset, message=message)
            for check, found in remarks.items()
            for severity, message in found
        ]
    named = [(fact.content or whole(fact.row.path), fact.row) for fact in facts]
    files = named if open_images else [(whole(row.path), row) for row in rows]
    return [*findings, *check_contents(rows), *check_same_files(files), *check_look_alikes(facts)]
