"""Every point at which a write or a step of a rotation can be cut off, one after the other.

Wherever it is: what is stored is what was before or what was meant to be, all of it opens, and the same
thing done again ends as if nothing had happened. The keyring's own files have such a test in
tests/unit/kms/local/test_crash_points.py.
"""

from __future__ import annotations

import resource
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from service.domain.errors import Reason, Unavailable
from service.domain.model import State
from service.sealing import kms_failures
from tests.support.doubles.power_cuts import MovableDatabase
from tests.support.storms.disk_installation import Installation, make_template
from tests.support.values.registry_values import new_uuid

OLD, NEW = "sk-" + "o" * 40, "sk-" + "n" * 40
STORED = {f"providers/p{number}": (OLD, State.ACTIVE) for number in range(3)}
Act = Callable[[Installation], object]


def rotated(there: Installation) -> None:
    """A new primary that the registry has not noticed yet."""
    there.create_version()
    there.activate()


def noticed(there: Installation) -> None:
    rotated(there)
    there.notice()


def nothing(_: Installation) -> None:
    """No preparation."""


ACTS: dict[str, tuple[Act, Act, list[str]]] = {
    "create": (
        nothing,
        lambda there: there.create("providers/new", NEW),
        ["wrap", "wrapped", "commit", "committed"],
    ),
    "replace": (
        nothing,
        lambda there: there.replace("providers/p0", NEW),
        ["wrap", "wrapped", "commit", "committed"],
    ),
    "update with a credential": (
        nothing,
        lambda there: there.update("providers/p0", "Another", NEW),
        ["wrap", "wrapped", "commit", "committed"],
    ),
    "replace under a primary not noticed": (
        rotated,
        lambda there: there.replace("providers/p0", NEW),
        ["wrap", "wrapped", "commit", "committed", "commit", "committed"],
    ),
    "delete": (nothing, lambda there: there.delete("providers/p0"), ["commit", "committed"]),
    "notice": (rotated, Installation.notice, ["commit", "committed"]),
    "sweep": (
        noticed,
        Installation.sweep,
        ["commit", "committed", "rewrap", "rewrapped", "commit", "committed"],
    ),
    "rewrap a part": (
        rotated,
        lambda there: there.rewrap(2),
        ["commit", "committed", "rewrap", "rewrapped", "commit", "committed"],
    ),
}
"""What is done before, what is done, and the moments that it comes to."""
POINTS = [
    pytest.param(name, moment, moments[: index + 1].count(moment), id=f"{name}-{index + 1}-{moment}")
    for name, (_, _, moments) in ACTS.items()
    for index, moment in enumerate(moments)
]
OF_THE_DATABASE = [point for point in POINTS if point.values[1] == "commit"]
OF_THE_SIDECAR = [point for point in POINTS if str(point.values[1]).startswith(("wrap", "rewrap"))]
RESULTS = {
    "create": STORED | {"providers/new": (NEW, State.ACTIVE)},
    "delete": {name: each for name, each in STORED.items() if name != "providers/p0"},
    **dict.fromkeys(
        ("replace", "update with a credential", "replace under a primary not noticed"),
        STORED | {"providers/p0": (NEW, State.ACTIVE)},
    ),
    **dict.fromkeys(("notice", "sweep", "rewrap a part"), STORED),
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with three credentials, to copy."""
    directory = tmp_path_factory.mktemp("filled")
    (directory / "template").mkdir(mode=0o700)
    make_template(directory / "template")
    database = MovableDatabase(directory / "template" / "registry.db")
    there = Installation.of(directory / "template", directory / "run", database)
    for name in STORED:
        there.create(name, OLD)
    there.stop()
    shutil.copytree(there.directory, directory / "filled")
    return directory / "filled"


@pytest.fixture
def there(filled: Path, tmp_path: Path) -> Iterator[Installation]:
    # A part begins at a random key; here before all of them, so that it comes to the same points each time.
    database = MovableDatabase(filled / "registry.db")
    made = Installation.of(filled, tmp_path, database, new_uuid)
    yield made
    made.stop()


def finish(there: Installation, act: str) -> None:
    """Done again, and a rotation through to its end."""
    if there.open_all() != RESULTS[act]:
        ACTS[act][1](there)
    assert there.open_all() == RESULTS[act]
    rotated(there)
    while there.rewrap(256):
        pass
    assert there.usage() == {there.keyring.status().primary: len(RESULTS[act])}
    there.retire()
    assert there.open_all() == RESULTS[act]


@pytest.mark.parametrize("act", ACTS)
def test_the_points_are_all_there_are(there: Installation, act: str) -> None:
    prepare, do, moments = ACTS[act]
    prepare(there)
    there.seen.clear()
    do(there)
    assert there.seen == moments
    assert len(POINTS) >= 14


@pytest.mark.parametrize(("act", "moment", "count"), POINTS)
def test_killed(there: Installation, act: str, moment: str, count: int) -> None:
    prepare, do, _ = ACTS[act]
    prepare(there)
    with there.power_cut(moment, count):
        do(there)
    assert there.cuts == 1
    written = there.open_all()
    assert written in (STORED, RESULTS[act])
    if moment != "committed":
        assert written == STORED
    finish(there, act)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR], ids=["disk full", "I/O error"])
@pytest.mark.parametrize(("act", "moment", "count"), OF_THE_DATABASE)
def test_the_database_cannot_write(there: Installation, act: str, moment: str, count: int, code: int) -> None:
    prepare, do, _ = ACTS[act]
    prepare(there)
    cause = sqlite3.OperationalError("disk")
    cause.sqlite_errorcode = code
    with (
        there.failing(OperationalError("COMMIT", None, cause), moment, count),
        pytest.raises(Unavailable) as refused,
    ):
        do(there)
    assert refused.value.reason is Reason.STORE_UNAVAILABLE
    assert there.open_all() == STORED
    finish(there, act)


@pytest.mark.parametrize("act", ACTS)
def test_no_file_can_grow(there: Installation, act: str) -> None:
    """The operating system's own refusal, met by SQLite where it writes its log."""
    prepare, do, _ = ACTS[act]
    prepare(there)
    with files_that_cannot_grow(), pytest.raises(Unavailable) as refused:
        do(there)
    assert refused.value.reason is Reason.STORE_UNAVAILABLE
    assert there.open_all() == STORED
    finish(there, act)


@pytest.mark.parametrize(("act", "moment", "count"), OF_THE_SIDECAR)
def test_the_sidecar_cannot_write(there: Installation, act: str, moment: str, count: int) -> None:
    """Its disk is full: no audit, no answer; or the answer is lost on the way."""
    prepare, do, _ = ACTS[act]
    prepare(there)
    with (
        there.failing(kms_failures.item_unavailable(), moment, count),
        pytest.raises(Unavailable) as refused,
    ):
        do(there)
    assert refused.value.reason is Reason.KMS_UNAVAILABLE
    assert there.open_all() == STORED
    finish(there, act)


@contextmanager
def files_that_cannot_grow() -> Iterator[None]:
    """Every write into a regular file fails: EFBIG, as Python ignores the signal."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
