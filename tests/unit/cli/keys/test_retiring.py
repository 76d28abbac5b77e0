"""A version is disabled only after two looks at every wrapper, more than a minute apart."""

from __future__ import annotations

import pytest
from codevector.kms.v1.key_management_service_pb2 import KeyVersion

from tests.support.doubles.cli_doubles import Bench, Wrapper

V1, V2 = "keyVersions/local-v1", "keyVersions/local-v2"


@pytest.fixture
def rotated(bench: Bench) -> Bench:
    assert bench.run("key", "rotate").code == 0
    bench.made.clock.slept.clear()
    bench.made.calls.clear()
    return bench


def state(bench: Bench, name: str = V1) -> int:
    return bench.made.version(name).state


@pytest.mark.parametrize("name", [V1, "local-v1"])
def test_asks_twice_more_than_a_minute_apart(rotated: Bench, name: str) -> None:
    looks: list[float] = []

    def note(_: int, method: str) -> None:
        if method in ("VerifyDataKeys", "DisableKeyVersion"):
            looks.append(rotated.made.clock.elapsed)

    rotated.made.before = note
    told = rotated.run("key", "retire", name, "-o", "json")
    assert told.code == 0, told.err
    assert told.data["state"] == "STATE_DISABLED"
    assert state(rotated) == KeyVersion.STATE_DISABLED
    first, second = looks[2], looks[3]
    assert second - first > 60
    assert rotated.made.calls.count("VerifyDataKeys") == 6


def test_again_changes_nothing(rotated: Bench) -> None:
    assert rotated.run("key", "retire", V1).code == 0
    rotated.made.calls.clear()
    told = rotated.run("key", "retire", V1)
    assert told.code == 0
    assert rotated.made.calls == ["ListKeyVersions"]


def test_the_primary_is_refused(rotated: Bench) -> None:
    told = rotated.run("key", "retire", V2)
    assert told.code == 5
    assert "rotate first" in told.err


def test_an_unknown_one_is_not_found(rotated: Bench) -> None:
    assert rotated.run("key", "retire", "local-v9").code == 3


@pytest.mark.parametrize(
    "wrapper",
    [
        pytest.param(Wrapper(V1, V1), id="row-and-wrapper"),
        pytest.param(Wrapper(V2, V1), id="wrapper-only"),
        pytest.param(Wrapper(V1, V1, sick="CREDENTIAL_CORRUPT"), id="sick-under-it"),
        pytest.param(Wrapper(V2, "", sick="WRAPPER_MALFORMED"), id="names-no-version"),
    ],
)
@pytest.mark.parametrize("when", ["from the start", "between the looks"])
def test_a_reference_refuses_it(rotated: Bench, wrapper: Wrapper, when: str) -> None:
    def appears(_: int, method: str) -> None:
        if method == "VerifyDataKeys" and rotated.made.clock.slept:
            rotated.made.wrappers["late"] = wrapper

    if when == "from the start":
        rotated.made.wrappers["late"] = wrapper
    rotated.made.before = appears
    told = rotated.run("key", "retire", V1)
    assert told.code == 5
    assert state(rotated) == KeyVersion.STATE_DECRYPT_ONLY


def test_a_credential_without_a_data_key_is_no_reference(rotated: Bench) -> None:
    rotated.made.wrappers["late"] = Wrapper(V2, "", sick="NO_DATA_KEY")
    assert rotated.run("key", "retire", V1).code == 0


class TestTransit:
    """Vault closes all versions below a number, so those before it must be unreferenced too."""

    NAMES = tuple(f"keyVersions/transit-0a1b2c3d-v{number}-1700000000" for number in (1, 2, 3))

    @pytest.fixture
    def vault(self, bench: Bench) -> Bench:
        made = bench.made
        made.versions.clear()
        made.add_version(KeyVersion.STATE_DECRYPT_ONLY, "keyVersions/transit-ffffffff-v1-1700000000")
        for name in self.NAMES[:2]:
            made.add_version(KeyVersion.STATE_DECRYPT_ONLY, name)
        made.add_version(KeyVersion.STATE_PRIMARY, self.NAMES[2])
        made.wrappers = {"providers/p": Wrapper(self.NAMES[2], self.NAMES[2])}
        made.recorded = self.NAMES[2]
        return bench

    def test_an_older_one_is_still_needed(self, vault: Bench) -> None:
        vault.made.wrappers["old"] = Wrapper(self.NAMES[0], self.NAMES[0])
        told = vault.run("key", "retire", self.NAMES[1])
        assert told.code == 5
        assert "transit-0a1b2c3d-v1" in told.err

    def test_a_newer_one_and_another_key_do_not_matter(self, vault: Bench) -> None:
        vault.made.wrappers["other"] = Wrapper(vault.made.versions[0].name, vault.made.versions[0].name)
        assert vault.run("key", "retire", self.NAMES[1]).code == 0
        assert state(vault, self.NAMES[1]) == KeyVersion.STATE_DISABLED
