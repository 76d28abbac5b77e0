from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kms.audit.chain import Segment
from kms.audit.exposure import Exposed, exposure
from kms.audit.lines import encode, genesis

T0 = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROUTER = "router:/run/router.sock"
REGISTRY = "registry:/run/registry.sock"


def item(
    number: int, *, version: int = 1, outcome: str = "OK", key_version: str = "keyVersions/a"
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "provider_uid": f"uid-{number}",
        "dek_id": f"dek-{number}-{version}",
        "credential_version": version,
        "key_version": key_version,
    }


def segment(*told: tuple[str, datetime, dict[str, Any]]) -> Segment:
    position, lines = genesis(bytes(16)), []
    for event, time, fields in told:
        line, position = encode(position, event, time, fields)
        lines.append(line)
    return Segment("a.jsonl", lines)


def uids(*told: tuple[str, datetime, dict[str, Any]], since: datetime = T0, principal: str = "") -> list[str]:
    return [
        each.provider_uid for each in exposure([segment(*told)], since=since, principal=principal).credentials
    ]


def test_counts_each_credential_once_with_all_that_is_known() -> None:
    found = exposure(
        [
            segment(
                ("wrap", T0, {"principal": REGISTRY, "items": [item(1)]}),
                ("unwrap", T0 + HOUR, {"principal": ROUTER, "items": [item(1), item(2)]}),
                (
                    "unwrap",
                    T0 + 2 * HOUR,
                    {
                        "principal": ROUTER,
                        "items": [item(1, key_version="keyVersions/b"), item(1, version=2)],
                    },
                ),
            )
        ],
        since=T0,
    )
    assert found.start_time is None
    assert found.credentials == (
        Exposed(
            "uid-1",
            1,
            "dek-1-1",
            T0,
            T0 + 2 * HOUR,
            3,
            ["keyVersions/a", "keyVersions/b"],
            [REGISTRY, ROUTER],
        ),
        Exposed("uid-2", 1, "dek-2-1", T0 + HOUR, T0 + HOUR, 1, ["keyVersions/a"], [ROUTER]),
        Exposed("uid-1", 2, "dek-1-2", T0 + 2 * HOUR, T0 + 2 * HOUR, 1, ["keyVersions/a"], [ROUTER]),
    )


@pytest.mark.parametrize(
    ("principal", "seen"),
    [
        ("", ["uid-1", "uid-2"]),
        ("router", ["uid-2"]),
        (ROUTER, ["uid-2"]),
        ("rout", []),
        ("registry", ["uid-1"]),
    ],
)
def test_of_a_principal_or_a_role(principal: str, seen: list[str]) -> None:
    told = (
        ("wrap", T0, {"principal": REGISTRY, "items": [item(1)]}),
        ("unwrap", T0, {"principal": ROUTER, "items": [item(2)]}),
    )
    assert uids(*told, principal=principal) == seen


def test_what_was_not_opened_was_not_seen() -> None:
    assert uids(("unwrap", T0, {"principal": ROUTER, "items": [item(1, outcome="CREDENTIAL_CORRUPT")]})) == []


def test_who_brought_a_key_has_seen_it_whatever_became_of_it() -> None:
    assert uids(("wrap", T0, {"principal": REGISTRY, "items": [item(1, outcome="KMS_UNAVAILABLE")]})) == [
        "uid-1"
    ]


@pytest.mark.parametrize("event", ["rewrap", "verify", "create_version", "refused"])
def test_moving_and_checking_show_no_key(event: str) -> None:
    assert uids((event, T0, {"principal": REGISTRY, "items": [item(1)], "failed": [item(2)]})) == []


def test_a_clock_put_back_hides_nothing() -> None:
    told = [
        ("unwrap", T0 + HOUR * at, {"principal": ROUTER, "items": [item(number)]})
        for number, at in enumerate([0, 5, 1, 6])
    ]
    assert uids(*told, since=T0 + 4 * HOUR) == ["uid-1", "uid-2", "uid-3"]


def test_reads_on_where_a_line_is_damaged() -> None:
    whole = segment(
        ("unwrap", T0, {"principal": ROUTER, "items": [item(1)]}),
        ("unwrap", T0, {"principal": ROUTER, "items": [item(2)]}),
    )
    lines = [b"damaged\n", *whole.lines, b'{"event":"unw']
    assert len(exposure([Segment("a", lines)], since=T0).credentials) == 2


@pytest.mark.parametrize(
    "items", [None, 3, [3], [{}], [{"dek_id": "x"}], [{**item(1), "credential_version": "x"}]]
)
def test_survives_items_of_any_shape(items: Any) -> None:
    assert uids(("wrap", T0, {"principal": ROUTER, "items": items})) == []


def test_an_empty_audit() -> None:
    found = exposure([], since=T0)
    assert (found.credentials, found.start_time) == ((), None)


def test_older_files_that_are_elsewhere_show() -> None:
    lines = list(segment(("unwrap", T0, {}), ("unwrap", T0 + HOUR, {})).lines)
    assert exposure([Segment("a", lines)], since=T0).start_time is None
    assert exposure([Segment("a", lines[1:])], since=T0).start_time == T0 + HOUR
