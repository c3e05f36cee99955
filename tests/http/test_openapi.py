"""Every operation of the description, asked in ways that Schemathesis makes up: no 5xx, nothing undocumented."""

from collections.abc import Iterator
from contextlib import nullcontext, suppress

import pytest
import schemathesis
from conftest import KEY, served
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def description(talking_app: FastAPI) -> Iterator[schemathesis.BaseSchema]:
    with served(talking_app) as url:
        yield schemathesis.openapi.from_url(f"{url}openapi.json")


def _converse(description: schemathesis.BaseSchema, num_cases: int) -> int:
    """As many good and as many bad cases of each operation; the number of operations."""
    operations = [found.ok() for found in description.get_all_operations()]
    quiet = settings(
        max_examples=num_cases,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    for operation in operations:
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:

            @quiet
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Case) -> None:
                case.call_and_validate(checks=CHECKS, headers=HEADERS)

            with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
                ask()  # an operation that takes nothing cannot be asked wrongly
    return len(operations)


def test_answers_are_as_described(description: schemathesis.BaseSchema) -> None:
    assert _converse(description, num_cases=10) == 14


@pytest.mark.long
def test_answers_are_as_described_in_a_long_conversation(description: schemathesis.BaseSchema) -> None:
    _converse(description, num_cases=300)
