"""Verifying data keys: whatever was exchanged, edited or lost by a writer past the store is named."""

# ruff: noqa: S608 - the statements are what is tested

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from service.domain.errors import InvalidArgument
from service.usecases.data_key_verification import Verified, verify_data_keys
from tests.support.servers.rotating_registry import Rotating, a_call

DEK_OF = "(SELECT dek_id FROM credentials WHERE provider_id = '{}')"
OF_A, OF_B = DEK_OF.format("a"), DEK_OF.format("b")


def sql(registry: Rotating, *statements: str) -> None:
    """Statements past the store and all constraints, as somebody with a shell would."""
    with closing(sqlite3.connect(registry.database)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def verify(registry: Rotating, *, page_size: int = 0, page_token: str = "") -> Verified:
    return verify_data_keys(registry.ctx, a_call(), page_size=page_size, page_token=page_token)


def found(registry: Rotating) -> dict[str, str]:
    return {one.resource: one.reason for one in verify(registry).failures}


def test_counts_versions_as_the_wrappers_name_them(registry: Rotating) -> None:
    registry.add("a", "b")
    old = registry.sidecar.primary
    new = registry.sidecar.rotate()
    registry.add("c")
    page = verify(registry)
    assert page == Verified(sound=3, failures=[], usage={old: 2, new: 1}, next_page_token="")


def test_goes_through_all_in_pages(registry: Rotating) -> None:
    registry.add(*(f"p{number}" for number in range(5)))
    sound, token, pages = 0, "", 0
    while pages == 0 or token:
        page = verify(registry, page_size=2, page_token=token)
        sound, token, pages = sound + page.sound, page.next_page_token, pages + 1
    assert (sound, pages) == (5, 3)


def test_refuses_the_token_of_another_list(registry: Rotating) -> None:
    with pytest.raises(InvalidArgument):
        verify(registry, page_token="AAAA")


@pytest.mark.parametrize(
    ("statements", "failures"),
    [
        pytest.param(
            [f"UPDATE data_keys SET wrapped = x'00' WHERE dek_id = {OF_A}"],
            {"providers/a": "WRAPPER_MALFORMED"},
            id="no wrapper",
        ),
        pytest.param(
            [f"UPDATE data_keys SET key_version = 'keyVersions/x' WHERE dek_id = {OF_A}"],
            {"providers/a": "KEY_VERSION_MISMATCH"},
            id="another version in the column",
        ),
        pytest.param(
            [
                "CREATE TEMP TABLE x AS SELECT * FROM data_keys",
                f"UPDATE data_keys SET wrapped = (SELECT wrapped FROM x WHERE dek_id = {OF_B}) "
                f"WHERE dek_id = {OF_A}",
            ],
            {"providers/a": "CREDENTIAL_CORRUPT"},
            id="another's wrapper",
        ),
        pytest.param(
            [
                "CREATE TEMP TABLE x AS SELECT * FROM data_keys",
                f"UPDATE data_keys SET (wrapped, context, commitment) = "
                f"(SELECT wrapped, context, commitment FROM x WHERE dek_id = {OF_B}) WHERE dek_id = {OF_A}",
            ],
            {"providers/a": "CONTEXT_MISMATCH"},
            id="another's row",
        ),
        pytest.param(
            ["UPDATE credentials SET envelope = (SELECT envelope FROM credentials WHERE provider_id = 'b') "
             "WHERE provider_id = 'a'"],
            {"providers/a": "ENVELOPE_MISMATCH"},
            id="another's envelope",
        ),
        pytest.param(
            ["UPDATE credentials SET dek_id = 'x' WHERE provider_id = 'a'",
             f"UPDATE credentials SET dek_id = (SELECT dek_id FROM data_keys WHERE dek_id <> {OF_B}) "
             "WHERE provider_id = 'b'"],
            {"providers/a": "NO_DATA_KEY", "providers/b": "CONTEXT_MISMATCH", "dataKeys/B": "NO_CREDENTIAL"},
            id="another's data key",
        ),
        pytest.param(
            ["UPDATE credentials SET version = 2 WHERE provider_id = 'a'"],
            {"providers/a": "CONTEXT_MISMATCH"},
            id="another version of the credential",
        ),
        pytest.param(
            ["UPDATE providers SET uid = 'ffffffff-0000-4000-8000-00000000000f' WHERE provider_id = 'a'"],
            {"providers/a": "CONTEXT_MISMATCH"},
            id="another provider of the same name",
        ),
        pytest.param(
            ["UPDATE credentials SET version = 'one' WHERE provider_id = 'a'"],
            {"providers/a": "CONTEXT_MISMATCH"},
            id="no version of the credential",
        ),
        pytest.param(
            ["UPDATE providers SET uid = 'nobody' WHERE provider_id = 'a'"],
            {"providers/a": "CONTEXT_MISMATCH"},
            id="no uid of the provider",
        ),
        pytest.param(
            [f"UPDATE data_keys SET wrapped = x'43565731' || x'01010003' || x'0a3f7b' || x'00' "
             f"WHERE dek_id = {OF_A}",
             f"UPDATE data_keys SET key_version = 'keyVersions/' || x'0a3f7b' WHERE dek_id = {OF_A}"],
            {"providers/a": "CREDENTIAL_CORRUPT"},
            id="a wrapper of a version that no sidecar has",
        ),
        pytest.param(
            [f"UPDATE data_keys SET commitment = zeroblob(32) WHERE dek_id = {OF_A}"],
            {"providers/a": "ENVELOPE_MISMATCH"},
            id="another commitment",
        ),
        pytest.param(
            ["DELETE FROM data_keys WHERE dek_id = " + OF_A],
            {"providers/a": "NO_DATA_KEY"},
            id="no data key",
        ),
        pytest.param(
            ["UPDATE registry SET deployment_id = zeroblob(16)"],
            {"providers/a": "CONTEXT_MISMATCH", "providers/b": "CONTEXT_MISMATCH"},
            id="another installation",
        ),
    ],
)  # fmt: skip
def test_names_what_is_sick(registry: Rotating, statements: list[str], failures: dict[str, str]) -> None:
    registry.add("a", "b")
    b = registry.sealed()["b"].dek_id
    sql(registry, *statements)
    expected = {name.replace("dataKeys/B", f"dataKeys/{b}"): reason for name, reason in failures.items()}
    assert found(registry) == expected


def test_a_version_that_is_gone(registry: Rotating) -> None:
    registry.add("a")
    wrapper = bytearray(registry.sealed()["a"].wrapped_data_key)
    wrapper[12:14] = b"ff" if wrapper[12:14] != b"ff" else b"00"
    name = "keyVersions/" + bytes(wrapper[8 : 8 + int.from_bytes(wrapper[6:8], "big")]).decode()
    with closing(sqlite3.connect(registry.database)) as connection:
        connection.execute("UPDATE data_keys SET wrapped = ?, key_version = ?", (bytes(wrapper), name))
        connection.commit()
    assert [(one.reason, one.key_version) for one in verify(registry).failures] == [
        ("KEY_VERSION_UNAVAILABLE", name)
    ]
    assert verify(registry).usage == {name: 1}
