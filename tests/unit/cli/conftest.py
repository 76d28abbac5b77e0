from __future__ import annotations

from collections.abc import Iterator

import pytest
from codevector.kms.v1.key_management_service_pb2 import KeyVersion

from tests.support.doubles.cli_doubles import Bench, Installation, serving


@pytest.fixture
def installation() -> Installation:
    """One primary version and 100 credentials under it."""
    made = Installation()
    made.add_version(KeyVersion.STATE_PRIMARY)
    made.add_providers(100)
    return made


@pytest.fixture
def bench(installation: Installation) -> Iterator[Bench]:
    with serving(installation) as bench:
        yield bench
