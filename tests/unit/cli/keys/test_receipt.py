"""A receipt says only what is true, and is checked again against what is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from codevector.kms.v1.key_management_service_pb2 import KeyVersion

from cli import proofs
from tests.support.doubles.cli_doubles import Bench, Wrapper

V1, V2 = "keyVersions/local-v1", "keyVersions/local-v2"


@pytest.fixture
def receipt(bench: Bench) -> Path:
    assert bench.run("key", "rotate").code == 0
    (path,) = bench.receipts()
    return path


def levels(bench: Bench, receipt: Path, *options: str) -> dict[str, str]:
    told = bench.run("key", "receipt", "check", str(receipt), "-o", "json", *options)
    findings = {each["subject"]: each["level"] for each in told.data}
    assert told.code == (1 if "FAILED" in findings.values() else 0)
    return findings


class TestBytes:
    def test_are_canonical(self, receipt: Path) -> None:
        content = json.loads(receipt.read_bytes())
        assert proofs.canonical(content) == receipt.read_bytes()
        assert content["sha256"] == proofs.digest(content)

    def test_every_changed_byte_is_seen(self, bench: Bench, receipt: Path) -> None:
        octets = receipt.read_bytes()
        for position in range(0, len(octets) - 1, 37):
            changed = bytearray(octets)
            changed[position] ^= 1
            receipt.write_bytes(changed)
            assert bench.run("key", "receipt", "check", str(receipt), "--offline").code == 1, position

    def test_of_no_file(self, bench: Bench) -> None:
        assert bench.run("key", "receipt", "check", str(bench.home / "none.json")).code == 3

    @pytest.mark.parametrize("octets", [b"", b"[]", b"{}", b'{"format":"codevector/rotation-journal/1"}'])
    def test_of_another_kind(self, bench: Bench, tmp_path: Path, octets: bytes) -> None:
        (tmp_path / "other").write_bytes(octets)
        assert bench.run("key", "receipt", "check", str(tmp_path / "other")).code == 1


def drop_keys(content: dict[str, Any]) -> None:
    del content["data_keys"]


def leave_one(content: dict[str, Any]) -> None:
    content["data_keys"]["left_behind_count"] = 1


def quarantine_one(content: dict[str, Any]) -> None:
    content["data_keys"]["quarantined_count"] = 1


def another_version(content: dict[str, Any]) -> None:
    content["data_keys"]["usage_after"] = {V1: 100}


def verify_fewer(content: dict[str, Any]) -> None:
    content["data_keys"]["verified_count"] = 99


def do_not_add_up(content: dict[str, Any]) -> None:
    content["data_keys"]["count_before"] = 99


def other_rows(content: dict[str, Any]) -> None:
    content["provider_rows"]["after"]["sha256"] = "0" * 64


def backwards(content: dict[str, Any]) -> None:
    content["end_time"] = "2020-01-01T00:00:00.000Z"


def no_time(content: dict[str, Any]) -> None:
    content["end_time"] = 7


@pytest.mark.parametrize(
    "change",
    [
        drop_keys,
        leave_one,
        quarantine_one,
        another_version,
        verify_fewer,
        do_not_add_up,
        other_rows,
        backwards,
        no_time,
    ],
)
def test_contradictions_are_seen_even_with_a_fresh_digest(
    bench: Bench, receipt: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    content = json.loads(receipt.read_bytes())
    change(content)
    proofs.write(receipt, proofs.sealed(content))
    assert levels(bench, receipt, "--offline") == {"receipt": "FAILED"}


class TestLater:
    def test_nothing_changed(self, bench: Bench, receipt: Path) -> None:
        assert set(levels(bench, receipt).values()) == {"OK"}

    def test_a_newer_rotation_is_no_fault(self, bench: Bench, receipt: Path) -> None:
        bench.made.clock.elapsed += 60
        assert bench.run("key", "rotate").code == 0
        assert levels(bench, receipt)["data keys now"] == "OK"

    def test_a_data_key_is_under_the_old_version_again(self, bench: Bench, receipt: Path) -> None:
        bench.made.wrappers["restored"] = Wrapper(V2, V1)
        assert levels(bench, receipt)["data keys now"] == "FAILED"

    def test_a_data_key_is_under_a_version_nobody_knows(self, bench: Bench, receipt: Path) -> None:
        bench.made.wrappers["restored"] = Wrapper(V2, "keyVersions/other-v9")
        assert levels(bench, receipt)["data keys now"] == "FAILED"

    def test_the_keyring_was_exchanged(self, bench: Bench, receipt: Path) -> None:
        del bench.made.versions[1]
        bench.made.versions[0].state = KeyVersion.STATE_PRIMARY
        assert levels(bench, receipt)["data keys now"] == "FAILED"

    def test_a_version_that_is_listed_no_more(self, bench: Bench, receipt: Path) -> None:
        """After a move to another keyring, or a destruction in Vault."""
        bench.made.clock.elapsed += 60
        assert bench.run("key", "rotate").code == 0
        del bench.made.versions[:2]
        assert levels(bench, receipt)["data keys now"] == "NOTE"

    def test_a_version_of_before_in_a_keyring_that_is_listed_last(self, bench: Bench, receipt: Path) -> None:
        bench.made.versions.reverse()
        assert levels(bench, receipt)["data keys now"] == "OK"
        bench.made.wrappers["restored"] = Wrapper(V2, V1)
        assert levels(bench, receipt)["data keys now"] == "FAILED"

    def test_a_data_key_is_sick(self, bench: Bench, receipt: Path) -> None:
        bench.made.wrappers["providers/p0001"].sick = "CREDENTIAL_CORRUPT"
        assert levels(bench, receipt)["data keys now"] == "FAILED"

    def test_rows_were_edited(self, bench: Bench, receipt: Path) -> None:
        bench.made.rows = b"edited"
        assert levels(bench, receipt)["provider rows now"] == "FAILED"

    def test_rows_were_changed_by_the_registry(self, bench: Bench, receipt: Path) -> None:
        bench.made.rows, bench.made.revision = b"edited", 8
        assert levels(bench, receipt)["provider rows now"] == "NOTE"

    def test_the_store_was_restored(self, bench: Bench, receipt: Path) -> None:
        bench.made.store_id = "store-2"
        assert levels(bench, receipt)["provider rows now"] == "NOTE"

    def test_another_installation(self, bench: Bench, receipt: Path) -> None:
        bench.made.deployment_id = "02" * 16
        assert levels(bench, receipt)["installation"] == "FAILED"
