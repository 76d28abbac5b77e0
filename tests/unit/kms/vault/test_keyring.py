"""What a keyring in Vault refuses, notices and survives; all of it on a real server."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from kms.formats import DekContext
from kms.keyring import (
    CorruptDataKey,
    DataKey,
    DecryptUnavailable,
    KeyAdminUnavailable,
    KeyringError,
    KeyringUnavailable,
    KeyVersionNotPrimary,
    KeyVersionUnavailable,
    LatestVersionConflict,
    OpenKeyring,
    VersionState,
    WrapItem,
    WrappedDataKey,
)
from kms.vault.key import TransitAddress
from kms.vault.keyring import VaultError
from kms.vault.session import TIMEOUT_SECONDS, Answer
from kms.vault.transit import Session
from tests.support.servers.openbao import OpenBao
from tests.support.servers.vault_keyrings import PATIENCE_SECONDS, vault_keyring

DEPLOYMENT_ID = bytes([1]) * 16
Build = Callable[..., OpenKeyring]


class Time:
    """A clock that tests move; starts late enough for everything to be due."""

    def __init__(self) -> None:
        self.now = 10_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def address(openbao: OpenBao) -> TransitAddress:
    return openbao.transit_key()


@pytest.fixture
def build(stack: ExitStack, openbao: OpenBao, address: TransitAddress, time: Time) -> Build:
    """A keyring on this test's key."""

    def build(**settings: Any) -> OpenKeyring:
        defaults = {"deployment_id": DEPLOYMENT_ID, "address": address, "monotonic": time}
        return vault_keyring(stack, openbao, **{**defaults, **settings})

    return build


def context(number: int) -> bytes:
    return DekContext(DEPLOYMENT_ID, bytes(16), number.to_bytes(16, "big"), 1).encode()


def key(number: int) -> bytes:
    return bytes([number % 256]) * 32


def wrap(vault: OpenKeyring, *numbers: int) -> list[WrappedDataKey]:
    results = vault.keyring.wrap([WrapItem(context(number), DataKey(key(number))) for number in numbers])
    wrapped = [each for each in results if isinstance(each, WrappedDataKey)]
    assert len(wrapped) == len(results), results
    return wrapped


def opened(results: list[DataKey | KeyringError]) -> list[bytes | str]:
    return [bytes(each.octets) if isinstance(each, DataKey) else type(each).__name__ for each in results]


def refresh(vault: OpenKeyring) -> None:
    for call in vault.refreshes:
        call()


def rotate(vault: OpenKeyring) -> str:
    return vault.versions.create_version(uuid4(), vault.keyring.status().primary).name


class TestStart:
    @pytest.mark.parametrize(
        ("attributes", "fault"),
        [
            pytest.param({"type": "aes128-gcm96"}, "type aes256-gcm96", id="type"),
            pytest.param({"derived": False}, "derive a key per context", id="not derived"),
            pytest.param({"exportable": True}, "can be exported", id="exportable"),
            pytest.param({"allow_plaintext_backup": True}, "backed up in plaintext", id="backup"),
            pytest.param({"convergent_encryption": True}, "convergently", id="convergent"),
        ],
    )
    def test_refuses_a_key(
        self, stack: ExitStack, openbao: OpenBao, attributes: dict[str, object], fault: str
    ) -> None:
        address = openbao.transit_key(**attributes)
        with pytest.raises(VaultError, match=fault) as refused:
            vault_keyring(stack, openbao, deployment_id=DEPLOYMENT_ID, address=address)
        assert "\n" not in str(refused.value)

    def test_refuses_a_key_that_can_be_deleted(
        self, build: Build, openbao: OpenBao, address: TransitAddress
    ) -> None:
        openbao.api("post", f"{address.path('keys')}/config", {"deletion_allowed": True})
        with pytest.raises(VaultError, match="can be deleted"):
            build()

    @pytest.mark.parametrize(
        ("rule", "excess"),
        [
            ('path "transit/export/*" { capabilities = ["read"] }', "export the key"),
            ('path "transit/backup/KEY" { capabilities = ["read"] }', "back the key up"),
            ('path "transit/restore/*" { capabilities = ["update"] }', "restore over the key"),
            ('path "transit/keys/KEY" { capabilities = ["read", "delete"] }', "delete on transit/keys/KEY"),
            ('path "transit/keys/KEY/config" { capabilities = ["update"] }', "configure the key"),
            ('path "transit/keys/KEY/rotate" { capabilities = ["update"] }', "rotate the key"),
            ('path "transit/keys/KEY/*" { capabilities = ["update"] }', "trim the key"),
            (
                'path "transit/encrypt/KEY" { capabilities = ["create", "update"] }',
                "create on transit/encrypt/KEY",
            ),
            ('path "transit/encrypt/*" { capabilities = ["update"] }', "encrypt with other keys"),
            ('path "transit/decrypt/*" { capabilities = ["update"] }', "decrypt with other keys"),
            ('path "transit/rewrap/*" { capabilities = ["update"] }', "rewrap with other keys"),
            ('path "transit/keys/*" { capabilities = ["list", "read"] }', "manage other keys"),
            ('path "transit/*" { capabilities = ["update"] }', "export the key"),
            ('path "sys/mounts/transit" { capabilities = ["delete"] }', "disable the mount"),
            ('path "sys/policies/acl/*" { capabilities = ["update"] }', "change policies"),
            ('path "auth/token/create" { capabilities = ["update"] }', "issue tokens"),
        ],
    )
    def test_refuses_an_identity_that_may_too_much(
        self, build: Build, openbao: OpenBao, address: TransitAddress, rule: str, excess: str
    ) -> None:
        policy = openbao.policy("sidecar", address)
        wider = openbao.policy("sidecar", address, extra=rule.replace("KEY", address.key))
        # A rule for a path that both name is merged within a policy file only; so each has its own policy.
        for each in (openbao.token(wider), openbao.token(policy, wider)):
            with pytest.raises(VaultError) as refused:
                build(identity=each)
            assert excess.replace("KEY", address.key) in str(refused.value)

    def test_refuses_root(self, build: Build, openbao: OpenBao) -> None:
        with pytest.raises(VaultError, match="root on transit/encrypt"):
            build(identity=openbao.token("root", no_default_policy=False))

    @pytest.mark.parametrize(
        ("missing", "lack"),
        [
            ("rewrap", "update on transit/rewrap"),
            ("keys", "refuses the sidecar"),
            ("sys/capabilities-self", "refuses the sidecar"),
        ],
    )
    def test_an_identity_that_may_too_little(
        self, build: Build, openbao: OpenBao, address: TransitAddress, missing: str, lack: str
    ) -> None:
        path = missing if "/" in missing else f"transit/{missing}/{address.key}"
        rules = {f"transit/{use}/{address.key}": ["update"] for use in ("encrypt", "decrypt", "rewrap")} | {
            f"transit/keys/{address.key}": ["read"],
            "sys/capabilities-self": ["update"],
            "auth/token/lookup-self": ["read"],
        }
        del rules[path]
        text = json.dumps({"path": {each: {"capabilities": may} for each, may in rules.items()}})
        openbao.api("put", f"sys/policies/acl/little-{address.key}", {"policy": text})
        identity = openbao.token(f"little-{address.key}")
        with pytest.raises((VaultError, KeyringUnavailable), match=lack):
            build(identity=identity).keyring.status()

    def test_does_not_wait_for_a_server_that_is_away(self, build: Build, openbao: OpenBao) -> None:
        identity = openbao.app_role(openbao.policy("sidecar", openbao.transit_key()))
        with openbao.dead():
            vault = vault_keyring_offline(build, identity)
            with pytest.raises(KeyringUnavailable, match="cannot be reached"):
                vault.keyring.status()
            with pytest.raises(KeyringUnavailable):
                vault.keyring.wrap([WrapItem(context(1), DataKey(key(1)))])

    def test_a_missing_key_is_never_made(self, build: Build, openbao: OpenBao) -> None:
        nowhere = TransitAddress("transit", f"missing-{uuid4()}")
        vault = build(address=nowhere, identity=openbao.app_role(openbao.policy("sidecar", nowhere)))
        for use in (
            vault.keyring.status,
            lambda: vault.keyring.wrap([WrapItem(context(1), DataKey(key(1)))]),
        ):
            with pytest.raises(KeyringUnavailable, match=r"the Transit key .* does not exist"):
                use()


def vault_keyring_offline(build: Build, identity: object) -> OpenKeyring:
    return build(identity=identity, admin=False)


class TestSplit:
    def test_the_registry_s_sidecar_wraps_and_moves_but_opens_nothing(self, build: Build) -> None:
        full = build()
        vault = build(policy="registry", admin=False)
        rows = wrap(vault, 1, 2)
        assert opened(full.keyring.unwrap(rows)) == [key(1), key(2)]
        target = rotate(full)
        refresh(vault)
        moved = [each for each in vault.keyring.rewrap(rows, target) if isinstance(each, WrappedDataKey)]
        assert opened(full.keyring.unwrap(moved)) == [key(1), key(2)]
        for use in (vault.keyring.unwrap, vault.keyring.verify):
            with pytest.raises(DecryptUnavailable) as refused:
                use(rows)
            assert refused.value.reason == "VERIFY_UNAVAILABLE"
        status = vault.keyring.status()
        assert (status.wrap_healthy, status.unwrap_healthy) == (True, False)
        assert status.message == "this sidecar may only wrap data keys: call one whose identity may decrypt"

    def test_a_router_s_sidecar_opens_and_wraps_nothing(self, build: Build) -> None:
        rows = wrap(build(), 1)
        vault = build(policy="opener", admin=False)
        assert opened(vault.keyring.unwrap(rows)) == [key(1)]
        assert vault.keyring.verify(rows) == [None]
        with pytest.raises(KeyringUnavailable, match="may not wrap"):
            wrap(vault, 1)
        with pytest.raises(KeyringUnavailable, match="may not wrap"):
            vault.keyring.rewrap(rows, vault.keyring.status().primary)
        assert (vault.keyring.status().wrap_healthy, vault.keyring.status().unwrap_healthy) == (False, True)


class TestAdministration:
    def test_takes_a_second_identity(self, build: Build) -> None:
        vault = build(admin=False)
        primary = vault.keyring.status().primary
        acts: list[Callable[[], object]] = [
            lambda: vault.versions.create_version(uuid4(), primary),
            lambda: vault.versions.disable_version(primary, confirmed_unreferenced=True),
            lambda: vault.versions.enable_version(primary),
        ]
        for act in acts:
            with pytest.raises(KeyAdminUnavailable, match="change it in Vault itself"):
                act()
        assert vault.versions.activate_version(primary).state is VersionState.PRIMARY, "nothing to do"
        assert vault.versions.destroy_due() == []
        assert [version.name for version in vault.versions.list_versions()] == [primary]

    @pytest.mark.parametrize(
        ("rule", "excess"),
        [
            ('path "transit/decrypt/KEY" { capabilities = ["update"] }', "decrypt with the key"),
            ('path "transit/export/*" { capabilities = ["read"] }', "export the key"),
            ('path "transit/keys/KEY" { capabilities = ["read", "delete"] }', "delete on transit/keys/KEY"),
            ('path "sys/policies/acl/*" { capabilities = ["update"] }', "change policies"),
        ],
    )
    def test_which_may_no_more_than_that(
        self, stack: ExitStack, openbao: OpenBao, address: TransitAddress, rule: str, excess: str
    ) -> None:
        policy = openbao.policy("admin", address, extra=rule.replace("KEY", address.key))
        vault = vault_keyring(
            stack, openbao, deployment_id=DEPLOYMENT_ID, address=address, admin_token=openbao.token(policy)
        )
        with pytest.raises(KeyAdminUnavailable) as refused:
            vault.versions.create_version(uuid4(), vault.keyring.status().primary)
        assert excess.replace("KEY", address.key) in refused.value.message

    def test_the_policy_file_lets_nobody_make_the_key_exportable(
        self, openbao: OpenBao, address: TransitAddress
    ) -> None:
        token = openbao.token(openbao.policy("admin", address))
        for setting in ("exportable", "allow_plaintext_backup", "deletion_allowed"):
            assert openbao.status_of("post", f"{address.path('keys')}/config", {setting: True}, token) == 403
        for setting in ("min_decryption_version", "min_encryption_version"):
            assert openbao.status_of("post", f"{address.path('keys')}/config", {setting: 1}, token) < 300

    def test_activation_closes_older_versions_for_encryption(
        self, build: Build, openbao: OpenBao, address: TransitAddress
    ) -> None:
        vault = build()
        created = rotate(vault)
        assert openbao.api("get", address.path("keys"))["data"]["min_encryption_version"] == 0
        vault.versions.activate_version(created)
        assert openbao.api("get", address.path("keys"))["data"]["min_encryption_version"] == 2

    def test_a_lost_answer_makes_one_version(self, build: Build, openbao: OpenBao) -> None:
        """The server rotates, the response is lost, the caller retries with the same request id."""
        losses = [Lost(), Lost()]
        vault = build(admin_through=losses.pop().put)
        first = vault.keyring.status().primary
        request_id = uuid4()
        with pytest.raises(KeyringUnavailable):
            vault.versions.create_version(request_id, first)
        created = vault.versions.create_version(request_id, first)
        assert created.state is VersionState.PRIMARY
        assert [version.name for version in vault.versions.list_versions()] == [first, created.name]
        assert vault.versions.create_version(request_id, first) == created

    def test_a_request_is_remembered_by_the_next_process(
        self, stack: ExitStack, build: Build, openbao: OpenBao, address: TransitAddress, tmp_path: Any
    ) -> None:
        ledger = tmp_path / "kms" / "ledger.json"
        ledger.parent.mkdir(mode=0o700)
        request_id = uuid4()
        with ExitStack() as life:
            vault = vault_keyring(life, openbao, deployment_id=DEPLOYMENT_ID, address=address, ledger=ledger)
            first = vault.keyring.status().primary
            created = vault.versions.create_version(request_id, first)
        assert build(ledger=ledger).versions.create_version(request_id, first) == created

    def test_without_the_ledger_a_repeated_request_is_a_conflict(self, build: Build) -> None:
        vault = build()
        first, request_id = vault.keyring.status().primary, uuid4()
        vault.versions.create_version(request_id, first)
        with pytest.raises(LatestVersionConflict):
            build().versions.create_version(request_id, first)


class Lost:
    """Lets the first rotation through and loses its response."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.done = False

    def put(self, session: Session) -> Session:
        self.session = session
        return self

    def request(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Answer:
        assert self.session is not None
        answer = self.session.request(method, path, body)
        if path.endswith("/rotate") and not self.done:
            self.done = True
            raise KeyringUnavailable("Vault did not answer within 2 s")
        return answer


class TestChangesMadeInVault:
    def test_a_rotation_is_noticed_by_refreshing(
        self, build: Build, openbao: OpenBao, address: TransitAddress
    ) -> None:
        vault = build()
        rows = wrap(vault, 1)
        openbao.api("post", f"{address.path('keys')}/rotate", {})
        assert wrap(vault, 2)[0].key_version.split("-")[2] == "v1", "pinned until it is noticed"
        refresh(vault)
        status = vault.keyring.status()
        assert status.primary.split("-")[2] == "v2"
        assert rows[0].key_version in status.accepted
        assert wrap(vault, 3)[0].key_version == status.primary

    def test_a_wrapper_under_a_version_made_elsewhere_opens_at_once(
        self, build: Build, openbao: OpenBao, time: Time
    ) -> None:
        vault, other = build(), build()
        rotate(other)
        rows = wrap(other, 1)
        time.now += 1
        assert opened(vault.keyring.unwrap(rows)) == [key(1)]

    def test_names_that_nobody_made_do_not_make_it_ask_for_ever(
        self, build: Build, openbao: OpenBao, time: Time, address: TransitAddress
    ) -> None:
        vault = build()
        row = wrap(vault, 1)[0]
        ref = row.key_version.removeprefix("keyVersions/")
        made_up = ref.replace("-v1-", "-v9-")
        foreign = replace(
            row,
            wrapped=row.wrapped.replace(ref.encode(), made_up.encode()),
            key_version=f"keyVersions/{made_up}",
        )
        before = openbao.audit_log.count(f'"{address.path("keys")}"')
        for _ in range(20):
            assert opened(vault.keyring.unwrap([foreign])) == ["KeyVersionUnavailable"]
        assert openbao.audit_log.count(f'"{address.path("keys")}"') == before, "read just before"
        time.now += 1
        assert opened(vault.keyring.unwrap([foreign] * 20)) == ["KeyVersionUnavailable"] * 20
        assert openbao.audit_log.count(f'"{address.path("keys")}"') <= before + 2, "question and answer"

    def test_an_encryption_minimum_is_followed(
        self, build: Build, openbao: OpenBao, address: TransitAddress
    ) -> None:
        vault = build()
        rows, old = wrap(vault, 1), vault.keyring.status().primary
        for change in ({}, {"min_encryption_version": 2}):
            openbao.api("post", f"{address.path('keys')}/{'config' if change else 'rotate'}", change)
        assert wrap(vault, 2)[0].key_version.split("-")[2] == "v2", "noticed by the refusal"
        assert vault.keyring.status().primary.split("-")[2] == "v2"
        with pytest.raises(KeyVersionNotPrimary):
            vault.keyring.rewrap(rows, old)

    def test_a_target_that_is_overtaken_is_refused(
        self, build: Build, openbao: OpenBao, address: TransitAddress
    ) -> None:
        vault = build()
        rows = wrap(vault, 1)
        target = rotate(vault)
        for change in ({}, {"min_encryption_version": 3}):
            openbao.api("post", f"{address.path('keys')}/{'config' if change else 'rotate'}", change)
        with pytest.raises(KeyVersionNotPrimary) as refused:
            vault.keyring.rewrap(rows, target)
        assert refused.value.metadata["primary_key_version"].split("-")[2] == "v3"

    def test_a_version_closed_for_decryption_is_unavailable(
        self, build: Build, openbao: OpenBao, address: TransitAddress
    ) -> None:
        vault = build()
        rows = wrap(vault, 1)
        target = rotate(vault)
        openbao.api(
            "post",
            f"{address.path('keys')}/config",
            {"min_encryption_version": 2, "min_decryption_version": 2},
        )
        for results in (vault.keyring.unwrap(rows), vault.keyring.rewrap(rows, target)):
            error = results[0]
            assert isinstance(error, KeyVersionUnavailable)
            assert error.metadata == {"key_version": rows[0].key_version}
        listed = vault.versions.list_versions()
        assert [version.state for version in listed] == [VersionState.DISABLED, VersionState.PRIMARY]
        openbao.api("post", f"{address.path('keys')}/config", {"min_decryption_version": 1})
        assert [v.state for v in vault.versions.list_versions()] == [
            VersionState.DECRYPT_ONLY,
            VersionState.PRIMARY,
        ]

    def test_a_trimmed_version_is_gone(self, build: Build, openbao: OpenBao, address: TransitAddress) -> None:
        vault = build()
        first = vault.versions.list_versions()[0].name
        rotate(vault)
        keys = address.path("keys")
        openbao.api("post", f"{keys}/config", {"min_encryption_version": 2, "min_decryption_version": 2})
        openbao.api("post", f"{keys}/trim", {"min_available_version": 2})
        listed = vault.versions.list_versions()
        assert [(v.name == first, v.state) for v in listed] == [
            (True, VersionState.DESTROYED),
            (False, VersionState.PRIMARY),
        ]

    def test_a_key_made_anew_opens_nothing_and_that_is_no_corruption(
        self, build: Build, openbao: OpenBao, address: TransitAddress, time: Time
    ) -> None:
        vault = build()
        rows, old = wrap(vault, 1), vault.keyring.status().primary
        openbao.recreate(address)
        time.now += 1
        assert opened(vault.keyring.unwrap(rows)) == ["KeyVersionUnavailable"]
        assert isinstance(vault.keyring.verify(rows)[0], KeyVersionUnavailable)
        assert vault.keyring.status().primary != old

    def test_nothing_is_wrapped_under_the_name_of_a_key_that_was_made_anew(
        self, build: Build, openbao: OpenBao, address: TransitAddress
    ) -> None:
        vault = build()
        openbao.recreate(address)
        with pytest.raises(KeyringUnavailable, match="was re-created"):
            wrap(vault, 1)
        assert wrap(vault, 1)[0].key_version == vault.keyring.status().primary

    def test_a_key_that_went_bad_wraps_no_more_but_opens(
        self, build: Build, openbao: OpenBao, address: TransitAddress
    ) -> None:
        vault = build()
        rows = wrap(vault, 1)
        openbao.api("post", f"{address.path('keys')}/config", {"exportable": True})
        refresh(vault)
        status = vault.keyring.status()
        assert (status.wrap_healthy, status.unwrap_healthy) == (False, True)
        assert "can be exported" in status.message
        with pytest.raises(KeyringUnavailable, match="can be exported"):
            wrap(vault, 2)
        assert opened(vault.keyring.unwrap(rows)) == [key(1)]

    def test_a_policy_that_went_wide_is_noticed(
        self, build: Build, openbao: OpenBao, address: TransitAddress
    ) -> None:
        policy = openbao.policy("sidecar", address)
        vault = build(identity=openbao.token(policy))
        openbao.api(
            "put", f"sys/policies/acl/{policy}", {"policy": 'path "*" { capabilities = ["read", "update"] }'}
        )
        refresh(vault)
        assert not vault.keyring.status().wrap_healthy
        assert "export the key" in vault.keyring.status().message


OUTAGES: dict[str, Callable[[OpenBao], AbstractContextManager[None]]] = {
    "sealed": OpenBao.sealed,
    "dead": OpenBao.dead,
    "hung": OpenBao.hung,
}


class TestOutages:
    @pytest.mark.parametrize("outage", OUTAGES)
    def test_every_call_fails_and_all_is_well_afterwards(
        self, build: Build, openbao: OpenBao, outage: str
    ) -> None:
        seconds = TIMEOUT_SECONDS if outage == "hung" else PATIENCE_SECONDS
        vault = build(timeout_seconds=seconds)
        rows = wrap(vault, 1)
        primary = vault.keyring.status().primary
        calls: list[Callable[[], object]] = [
            lambda: wrap(vault, 2),
            lambda: vault.keyring.unwrap(rows),
            lambda: vault.keyring.verify(rows),
            lambda: vault.versions.create_version(uuid4(), primary),
            vault.versions.list_versions,
            lambda: refresh(vault),
        ]
        with OUTAGES[outage](openbao):
            for call in calls:
                with pytest.raises(KeyringUnavailable) as refused:
                    call()
                assert refused.value.__context__ is None
            status = vault.keyring.status()
            assert (status.primary, status.wrap_healthy, status.unwrap_healthy) == (primary, False, False)
            assert status.message
        refresh(vault)
        assert vault.keyring.status().wrap_healthy
        assert vault.keyring.status().message == ""
        assert opened(vault.keyring.unwrap(rows)) == [key(1)]
        assert vault.keyring.status().primary == primary


class Tampering:
    """Sits in front of the real server and changes the responses of one operation."""

    def __init__(
        self, operation: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
    ) -> None:
        self._operation = operation
        self._change = change
        self._session: Session | None = None

    def put(self, session: Session) -> Session:
        self._session = session
        return self

    def request(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Answer:
        assert self._session is not None
        answer = self._session.request(method, path, body)
        if f"/{self._operation}/" not in path:
            return answer
        results = [dict(result) for result in answer.data["batch_results"]]
        return Answer(answer.status, {"data": {"batch_results": self._change(results)}})


def reordered(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return results[::-1]


def duplicated(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [results[0]] * len(results)


def cut(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return results[:-1]


def swapped(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As reordered, but with the references in the right order: only the content differs."""
    values = [{**result} for result in results[::-1]]
    return [{**value, "reference": r["reference"]} for value, r in zip(values, results, strict=True)]


def one_fails(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        *results[:1],
        {"error": f"no reason {results[1]}", "reference": results[1]["reference"]},
        *results[2:],
    ]


def another_version(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**r, "ciphertext": r["ciphertext"].replace("vault:v", "vault:v1")} for r in results]


class TestAnswersThatDoNotFit:
    @pytest.mark.parametrize("change", [reordered, duplicated, cut])
    @pytest.mark.parametrize("operation", ["encrypt", "decrypt", "rewrap"])
    def test_an_answer_to_other_items_is_used_for_nothing(
        self, build: Build, operation: str, change: Callable[[Any], Any]
    ) -> None:
        rows = wrap(build(), 1, 2, 3)
        rotate(build())
        vault = build(through=Tampering(operation, change).put)
        call: dict[str, Callable[[], object]] = {
            "encrypt": lambda: wrap(vault, 1, 2, 3),
            "decrypt": lambda: vault.keyring.unwrap(rows),
            "rewrap": lambda: vault.keyring.rewrap(rows, vault.keyring.status().primary),
        }
        with pytest.raises(KeyringUnavailable, match="other items") as refused:
            call[operation]()
        assert "vault:" not in refused.value.message

    def test_a_wrong_key_is_never_answered(self, build: Build) -> None:
        rows = wrap(build(), 1, 2)
        vault = build(through=Tampering("decrypt", swapped).put)
        assert opened(vault.keyring.unwrap(rows)) == ["CorruptDataKey"] * 2

    def test_a_wrong_wrapper_is_never_answered(self, build: Build) -> None:
        vault = build(through=Tampering("encrypt", swapped).put)
        with pytest.raises(KeyringUnavailable, match="does not return the key that it wrapped"):
            wrap(vault, 1, 2)

    @pytest.mark.parametrize("operation", ["encrypt", "decrypt", "rewrap"])
    def test_one_that_fails_without_reason_fails_alone(self, build: Build, operation: str) -> None:
        rows = wrap(build(), 1, 2, 3)
        rotate(build())
        policy = "registry" if operation == "encrypt" else "sidecar"
        vault = build(through=Tampering(operation, one_fails).put, policy=policy)
        items = [WrapItem(context(number), DataKey(key(number))) for number in (1, 2, 3)]
        call: dict[str, Callable[[], list[Any]]] = {
            "encrypt": lambda: list(vault.keyring.wrap(items)),
            "decrypt": lambda: list(vault.keyring.unwrap(rows)),
            "rewrap": lambda: list(vault.keyring.rewrap(rows, vault.keyring.status().primary)),
        }
        results = call[operation]()
        assert [isinstance(each, KeyringError) for each in results] == [False, True, False]
        assert type(results[1]) is KeyringUnavailable
        assert "no reason" not in results[1].message, "the server's words may quote what it was sent"

    @pytest.mark.parametrize("operation", ["encrypt", "rewrap"])
    def test_a_wrapper_under_another_version_is_refused(self, build: Build, operation: str) -> None:
        rows = wrap(build(), 1)
        rotate(build())
        vault = build(through=Tampering(operation, another_version).put, policy="registry")
        results: list[Any] = (
            list(vault.keyring.wrap([WrapItem(context(1), DataKey(key(1)))]))
            if operation == "encrypt"
            else list(vault.keyring.rewrap(rows, vault.keyring.status().primary))
        )
        assert type(results[0]) is KeyringUnavailable


class TestBatches:
    def test_larger_than_the_server_takes_at_once(self, build: Build) -> None:
        vault = build()
        rows = wrap(vault, *range(256))
        target = rotate(vault)
        moved = [each for each in vault.keyring.rewrap(rows, target) if isinstance(each, WrappedDataKey)]
        assert vault.keyring.verify(moved * 4) == [None] * 1024
        assert opened(vault.keyring.unwrap(moved)) == [key(number) for number in range(256)]

    def test_a_server_with_narrower_limits_gets_smaller_batches(self, build: Build) -> None:
        sizes: list[int] = []

        class Narrow:
            def __init__(self, session: Session) -> None:
                self._session = session

            def request(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Answer:
                items = (body or {}).get("batch_input")
                if isinstance(items, list):
                    sizes.append(len(items))
                    if len(items) > 40:
                        return Answer(400, {"errors": ["refused JSON input due to high complexity"]})
                return self._session.request(method, path, body)

        vault = build(through=Narrow)
        rows = wrap(vault, *range(100))
        assert opened(vault.keyring.unwrap(rows)) == [key(number) for number in range(100)]
        assert max(size for size in sizes if size <= 40) > 20

    def test_an_empty_one_asks_nobody(self, build: Build, openbao: OpenBao) -> None:
        vault = build()
        before = openbao.audit_log
        assert vault.keyring.wrap([]) == []
        assert vault.keyring.unwrap([]) == []
        assert vault.keyring.rewrap([], vault.keyring.status().primary) == []
        assert openbao.audit_log == before


class TestCanary:
    def test_no_key_in_errors_or_in_the_server_s_audit(self, build: Build, openbao: OpenBao) -> None:
        vault = build()
        canary = b"canary-dek-canary-dek-canary-dek"
        rows = vault.keyring.wrap([WrapItem(context(1), DataKey(canary))])
        row = rows[0]
        assert isinstance(row, WrappedDataKey)
        swapped_context = replace(row, context=context(2))
        errors = [
            *vault.keyring.unwrap([row, swapped_context]),
            *vault.keyring.rewrap([swapped_context], rotate(vault)),
        ]
        text = (
            repr(errors) + repr([vars(e) for e in errors if isinstance(e, KeyringError)]) + openbao.audit_log
        )
        assert any(isinstance(error, CorruptDataKey) for error in errors)
        for form in (canary.decode(), base64.b64encode(canary).decode(), canary.hex()):
            assert form not in text
