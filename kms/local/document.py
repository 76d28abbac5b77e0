"""The content of a keyring file, from bytes to checked values and back (docs/formats/keyring.md).

    root   the unlock secret, 32 bytes
    seal   HKDF(root, LP("codevector/keyring-seal/1", keyring_id))   encrypts each KEK
    mac    HKDF(root, LP("codevector/keyring-mac/1", keyring_id))    authenticates the whole file
    kek    nonce[12] || AES-256-GCM(seal, nonce, KEK[32], AAD)
    AAD    LP("codevector/kek/1", deployment_id, ref, u32be number, create_time)

The file is canonical JSON and one line end; any byte that this module would not write is refused.
Sees KEKs while sealing and opening them. Must never keep one outside ``Kek``, which does not print.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms.errors import StartError
from kms.formats import hkdf, length_prefixed
from kms.keyring import VersionState
from kms.local.kek import KEK_LENGTH, NONCE_LENGTH, Kek
from kms.local.unlock import KeyMethod, ScryptMethod, UnlockMethod, UnlockRoot
from kms.versions import ALGORITHM, VersionRecord, destroyed, whole_seconds

FORMAT = 1
DOCUMENT_LIMIT = 1 << 20

_SEAL_LABEL = b"codevector/keyring-seal/1"
_MAC_LABEL = b"codevector/keyring-mac/1"
_KEK_LABEL = b"codevector/kek/1"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class DocumentError(StartError):
    """The keyring file is damaged, was changed, or does not open with this secret; one sentence."""


@dataclass(frozen=True, slots=True)
class LocalVersion:
    """One KEK version: its record, the KEK sealed for this file (nonce first), and the same KEK opened.

    A DESTROYED version is a tombstone: ``sealed`` is empty and ``kek`` None.
    """

    record: VersionRecord
    sealed: bytes = field(repr=False)
    kek: Kek | None

    def destroyed(self, now: datetime) -> LocalVersion:
        """Return the tombstone of this version, without its key."""
        return LocalVersion(destroyed(self.record, now), b"", None)


@dataclass(frozen=True, slots=True)
class KeyringDocument:
    """A whole keyring. ``versions`` are ordered by number, which counts from 1 without gaps."""

    keyring_id: bytes
    deployment_id: bytes
    seq: int
    unlock: UnlockMethod
    versions: tuple[LocalVersion, ...]

    @property
    def primary(self) -> LocalVersion:
        """The one version that wraps."""
        return next(version for version in self.versions if version.record.state is VersionState.PRIMARY)


class DocumentCodec:
    """Reads and writes the documents of one keyring with the keys of one unlock secret."""

    __slots__ = ("_keyring_id", "_mac_key", "_seal_key")

    def __init__(self, root: UnlockRoot, keyring_id: bytes) -> None:
        self._keyring_id = keyring_id
        self._seal_key = hkdf(root.octets, length_prefixed(_SEAL_LABEL, keyring_id))
        self._mac_key = hkdf(root.octets, length_prefixed(_MAC_LABEL, keyring_id))

    def __repr__(self) -> str:
        return "DocumentCodec(<redacted>)"

    def new_version(
        self,
        document: KeyringDocument,
        *,
        state: VersionState,
        create_time: datetime,
        request_id: str,
        expected_latest: str,
        random: Callable[[int], bytes],
    ) -> LocalVersion:
        """Return a version that follows the document's newest, with a fresh KEK sealed for this file."""
        octets = random(KEK_LENGTH)
        kek = Kek(octets)
        number = len(document.versions) + 1
        ref = _ref(document.keyring_id, number, kek.check)
        create_time = whole_seconds(create_time)
        nonce = random(NONCE_LENGTH)
        aad = _kek_aad(document.deployment_id, ref, number, create_time)
        sealed = nonce + AESGCM(self._seal_key).encrypt(nonce, octets, aad)
        record = VersionRecord(ref, number, state, create_time, request_id, expected_latest)
        return LocalVersion(record, sealed, kek)

    def encode(self, document: KeyringDocument) -> bytes:
        """Return the file's bytes; the same document always gives the same bytes."""
        body = {
            "deployment_id": document.deployment_id.hex(),
            "format": FORMAT,
            "keyring_id": document.keyring_id.hex(),
            "seq": document.seq,
            "unlock": _encode_unlock(document.unlock),
            "versions": [_encode_version(version) for version in document.versions],
        }
        return _canonical({**body, "mac": self._mac(body)})

    def decode(self, octets: bytes) -> KeyringDocument:
        """Return the document, with every KEK opened and compared with its name.

        Raises:
            DocumentError: any byte differs from what ``encode`` wrote under this unlock secret.
        """
        body = _parse(octets)
        mac = str(body.pop("mac", "")).encode("ascii", "replace")
        if not hmac.compare_digest(mac, self._mac(body).encode("ascii")):
            raise DocumentError(
                "the keyring does not verify: the file was changed, or this is not its unlock secret"
            )
        try:
            return self._read(body)
        except (KeyError, TypeError, ValueError, AttributeError, InvalidTag):
            raise DocumentError(
                "the keyring's content does not agree with itself: restore it from a backup"
            ) from None

    def _mac(self, body: dict[str, Any]) -> str:
        return hmac.digest(self._mac_key, _canonical(body), "sha256").hex()

    def _read(self, body: dict[str, Any]) -> KeyringDocument:
        deployment_id = bytes.fromhex(body["deployment_id"])
        if len(deployment_id) != 16 or body["seq"] < 1:
            raise ValueError("deployment id or seq")
        versions = tuple(
            self._read_version(entry, number, deployment_id)
            for number, entry in enumerate(body["versions"], start=1)
        )
        if [version.record.state for version in versions].count(VersionState.PRIMARY) != 1:
            raise ValueError("not one primary version")
        method = _read_unlock(body["unlock"])
        return KeyringDocument(self._keyring_id, deployment_id, body["seq"], method, versions)

    def _read_version(self, entry: dict[str, Any], number: int, deployment_id: bytes) -> LocalVersion:
        record = VersionRecord(
            ref=entry["ref"],
            number=number,
            state=VersionState(entry["state"]),
            create_time=_read_time(entry["create_time"]),
            request_id=entry["request_id"],
            expected_latest=entry["expected_latest"],
            disable_time=_read_time(entry["disable_time"]) if "disable_time" in entry else None,
            destroy_time=_read_time(entry["destroy_time"]) if "destroy_time" in entry else None,
            seen_time=_read_time(entry["seen_time"]) if "seen_time" in entry else None,
        )
        sealed = bytes.fromhex(entry["kek"])
        _refuse_inconsistent(record, sealed, entry)
        if record.state is VersionState.DESTROYED:
            return LocalVersion(record, sealed, None)
        kek = self._open_kek(record, sealed, deployment_id)
        if record.ref != _ref(self._keyring_id, number, kek.check):
            raise ValueError("the key is not the one that its name says")
        return LocalVersion(record, sealed, kek)

    def _open_kek(self, record: VersionRecord, sealed: bytes, deployment_id: bytes) -> Kek:
        aad = _kek_aad(deployment_id, record.ref, record.number, record.create_time)
        nonce, ciphertext = sealed[:NONCE_LENGTH], sealed[NONCE_LENGTH:]
        octets = bytearray(KEK_LENGTH)
        try:
            # ValueError for another length, InvalidTag for another key: neither leaves a KEK in memory.
            AESGCM(self._seal_key).decrypt_into(nonce, ciphertext, aad, octets)
            return Kek(octets)
        finally:
            octets[:] = bytes(KEK_LENGTH)


def read_preamble(octets: bytes) -> tuple[bytes, UnlockMethod]:
    """Return the keyring id and the unlock method, before anything is authenticated.

    Raises:
        DocumentError: the bytes are not a keyring of a format that this release reads.
        UnlockError: the cost of unlocking is outside its bounds.
    """
    body = _parse(octets)
    if body.get("format") != FORMAT:
        raise DocumentError(
            "the keyring has a format that this release cannot read: was it written by a newer one?"
        )
    try:
        keyring_id = bytes.fromhex(body["keyring_id"])
        method = _read_unlock(body["unlock"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DocumentError("the keyring's preamble is damaged") from None
    if len(keyring_id) != 4:
        raise DocumentError("the keyring's preamble is damaged")
    return keyring_id, method


def _parse(octets: bytes) -> dict[str, Any]:
    try:
        body = json.loads(octets)
        canonical = isinstance(body, dict) and _canonical(body) == octets
    except (ValueError, RecursionError):
        raise DocumentError("the keyring is not JSON") from None
    if not canonical:
        raise DocumentError("the keyring is not a JSON object in canonical form")
    return dict(body)


def _canonical(body: dict[str, Any]) -> bytes:
    """JSON with sorted keys, no spaces, ASCII only, and one line end."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii") + b"\n"


def _ref(keyring_id: bytes, number: int, check: str) -> str:
    return f"local-{keyring_id.hex()}-v{number}-{check}"


def _kek_aad(deployment_id: bytes, ref: str, number: int, create_time: datetime) -> bytes:
    time = create_time.strftime(_TIME).encode("ascii")
    return length_prefixed(_KEK_LABEL, deployment_id, ref.encode("ascii"), number.to_bytes(4, "big"), time)


_WITH_DISABLE_TIME = frozenset(
    {VersionState.DISABLED, VersionState.DESTROY_SCHEDULED, VersionState.DESTROYED}
)
_WITH_SEEN_TIME = frozenset({VersionState.DISABLED, VersionState.DESTROY_SCHEDULED})
_WITH_DESTROY_TIME = frozenset({VersionState.DESTROY_SCHEDULED, VersionState.DESTROYED})


def _refuse_inconsistent(record: VersionRecord, sealed: bytes, entry: dict[str, Any]) -> None:
    """Raise ValueError where number, algorithm, state, times and key do not fit each other."""
    if (entry["number"], entry["algorithm"]) != (record.number, ALGORITHM):
        raise ValueError("number or algorithm")
    if (record.disable_time is not None) != (record.state in _WITH_DISABLE_TIME):
        raise ValueError("disable_time")
    if (record.destroy_time is not None) != (record.state in _WITH_DESTROY_TIME):
        raise ValueError("destroy_time")
    if record.seen_time is not None and record.state not in _WITH_SEEN_TIME:
        raise ValueError("seen_time")
    if bool(sealed) != (record.state is not VersionState.DESTROYED):
        raise ValueError("a destroyed version with a key, or another without one")


def _read_time(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


def _encode_version(version: LocalVersion) -> dict[str, Any]:
    record = version.record
    times = {
        "disable_time": record.disable_time,
        "destroy_time": record.destroy_time,
        "seen_time": record.seen_time,
    }
    return {
        **{name: time.strftime(_TIME) for name, time in times.items() if time is not None},
        "algorithm": ALGORITHM,
        "create_time": record.create_time.strftime(_TIME),
        "expected_latest": record.expected_latest,
        "kek": version.sealed.hex(),
        "number": record.number,
        "ref": record.ref,
        "request_id": record.request_id,
        "state": record.state.value,
    }


def _encode_unlock(method: UnlockMethod) -> dict[str, Any]:
    if isinstance(method, ScryptMethod):
        return {"log2_n": method.log2_n, "method": "scrypt", "p": 1, "r": 8, "salt": method.salt.hex()}
    return {"method": "key"}


def _read_unlock(body: dict[str, Any]) -> UnlockMethod:
    if body == {"method": "key"}:
        return KeyMethod()
    log2_n = body["log2_n"]
    if (body["method"], body["r"], body["p"]) != ("scrypt", 8, 1) or type(log2_n) is not int:
        raise ValueError("not a way of unlocking that this release knows")
    return ScryptMethod(log2_n, bytes.fromhex(body["salt"]))
