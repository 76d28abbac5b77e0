"""The least a rotation costs on this machine: bare rewraps, and a bulk compare-and-swap of the same rows.

Neither knows a process, a lease, an audit of ours, an error or a second caller; both run in one thread.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.support.servers.openbao import OpenBao

TRANSACTION = 10_000
TRANSIT_ITEMS = 240
"""Of two names and two values each, what fits into the 1,000 strings that OpenBao takes in a body."""


@dataclass(frozen=True, slots=True)
class FloorReading:
    """Seconds of one item each: its rewrap, its place in a bulk swap."""

    rewrap: float
    swap: float


class BareRewrap(Protocol):
    """Wrapped keys of its own, made beforehand, to rewrap over and over."""

    def rewrap(self) -> tuple[float, list[bytes]]:
        """(seconds for all, the bodies of the new wrapped keys)."""


class BareAesGcm:
    """What a keyring in memory cannot do without: two keys derived, one opening, one commitment, one wrap."""

    def __init__(self, contexts: Sequence[bytes]) -> None:
        self._keys = [hmac.digest(bytes(32), os.urandom(32), "sha256") for _ in range(2)]
        self._wrappers = []
        for context in contexts:
            dek, nonce = os.urandom(32), os.urandom(12)
            body = nonce + AESGCM(_expand(self._keys[0], context)).encrypt(nonce, dek, None)
            self._wrappers.append((context, body, _commitment(dek, context)))

    def rewrap(self) -> tuple[float, list[bytes]]:
        started = time.perf_counter()
        moved = [self._rewrapped(*one) for one in self._wrappers]
        return time.perf_counter() - started, moved

    def _rewrapped(self, context: bytes, body: bytes, commitment: bytes) -> bytes:
        dek = AESGCM(_expand(self._keys[0], context)).decrypt(body[:12], body[12:], None)
        assert hmac.compare_digest(_commitment(dek, context), commitment)
        nonce = os.urandom(12)
        return nonce + AESGCM(_expand(self._keys[1], context)).encrypt(nonce, dek, None)


def _expand(key: bytes, info: bytes) -> bytes:
    return hmac.digest(key, info + b"\x01", "sha256")


def _commitment(dek: bytes, context: bytes) -> bytes:
    return _expand(dek, b"codevector/commit/1" + hashlib.sha256(context).digest())


class BareTransit:
    """Batches as large as the server takes, in sequence over one connection, on a separate key."""

    def __init__(self, server: OpenBao, connection: http.client.HTTPConnection, contexts: Sequence[bytes]):
        self._connection = connection
        self._server = server
        self._key = server.transit_key()
        self._token = server.token(server.policy("sidecar", self._key)).reveal()
        self._contexts = [base64.b64encode(context).decode() for context in contexts]
        self._ciphertexts = self._all("encrypt", [_random_text() for _ in contexts], member="plaintext")

    def rewrap(self) -> tuple[float, list[bytes]]:
        self._server.api("post", f"{self._key.path('keys')}/rotate", {})
        started = time.perf_counter()
        self._ciphertexts = self._all("rewrap", self._ciphertexts, member="ciphertext")
        return time.perf_counter() - started, [text.encode() for text in self._ciphertexts]

    def _all(self, operation: str, texts: Sequence[str], *, member: str) -> list[str]:
        answered = []
        for start in range(0, len(texts), TRANSIT_ITEMS):
            end = start + TRANSIT_ITEMS
            batch = [
                {"context": context, member: text}
                for context, text in zip(self._contexts[start:end], texts[start:end], strict=True)
            ]
            results = self._post(self._key.path(operation), {"batch_input": batch})
            answered += [result["ciphertext"] for result in results]
        return answered

    def _post(self, path: str, body: Mapping[str, object]) -> list[dict[str, Any]]:
        headers = {"X-Vault-Token": self._token, "Content-Type": "application/json"}
        self._connection.request("POST", f"/v1/{path}", json.dumps(body), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        results: list[dict[str, Any]] = json.loads(content)["data"]["batch_results"]
        return results


def _random_text() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@contextmanager
def bare_transit(server: OpenBao, contexts: Sequence[bytes]) -> Iterator[BareTransit]:
    """A connection for as long as the block lasts."""
    with closing(http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=60)) as connection:
        yield BareTransit(server, connection, contexts)


class BulkSwap:
    """Compare-and-swap of rows in a copy of the database, in key order, with the settings of the store."""

    def __init__(self, connection: sqlite3.Connection, items: int) -> None:
        self._connection = connection
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "secure_delete = ON",
            "cache_size = -65536",
        ):
            connection.execute(f"PRAGMA {pragma}")
        self._rows = connection.execute(
            "SELECT dek_id, wrapped, key_version FROM data_keys ORDER BY dek_id LIMIT ?", (items,)
        ).fetchall()
        self._rounds = 0

    def swap(self, bodies: Sequence[bytes]) -> float:
        """Seconds to store wrapped keys with these bodies under yet another version."""
        self._rounds += 1
        found = []
        for (dek_id, wrapped, version), body in zip(self._rows, bodies, strict=True):
            found.append((dek_id, wrapped[: -len(body)] + body, version[:-16] + f"{self._rounds:016x}"))
        swaps = [(new[1], new[2], old[0], old[2]) for old, new in zip(self._rows, found, strict=True)]
        started = time.perf_counter()
        for start in range(0, len(swaps), TRANSACTION):
            self._connection.execute("BEGIN IMMEDIATE")
            done = self._connection.executemany(
                "UPDATE data_keys SET wrapped = ?, key_version = ? WHERE dek_id = ? AND key_version = ?",
                swaps[start : start + TRANSACTION],
            )
            assert done.rowcount == len(swaps[start : start + TRANSACTION])
            self._connection.execute("COMMIT")
        seconds = time.perf_counter() - started
        self._rows = found
        return seconds


@contextmanager
def bulk_swap(home: Path, items: int) -> Iterator[BulkSwap]:
    """On a copy beside the registry's database, so on the same disk, that is gone afterwards."""
    copy = home / "floor.db"
    with closing(sqlite3.connect(home / "registry.db")) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            yield BulkSwap(connection, items)
    finally:
        for path in home.glob("floor.db*"):
            path.unlink()


def read_floor(bare: BareRewrap, swap: BulkSwap) -> FloorReading:
    """Both once."""
    seconds, bodies = bare.rewrap()
    return FloorReading(seconds / len(bodies), swap.swap(bodies) / len(bodies))
