"""The Transit operations on one key: batches cut to the server's limits, outcomes item by item.

Sees DEKs as base64 strings, which cannot be wiped. Must never keep one or put one into an error.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from kms.keyring import DATA_KEY_LENGTH, DataKey, KeyringUnavailable
from kms.vault.key import TransitAddress, TransitKey, ciphertext_version
from kms.vault.session import Answer

# OpenBao refuses a body with more than 1,000 JSON strings, member names included (max_request_json_strings).
# Vault's limits (10,000 elements and members, 1 MiB a string) are wider.
_STRINGS_LIMIT = 980
_Item = dict[str, str | int]
_OK = 200
_BAD_REQUEST = 400
_TOO_LARGE = 413


class Fault(Enum):
    """Why the server did not process an item."""

    CORRUPT = "does not open"
    VERSION_CLOSED = "its version may not open"
    TARGET_CLOSED = "the version to encrypt under is not in use"
    REFUSED = "for another reason"


# Matched by parts of the error text: there is nothing else. The same in OpenBao 2.7 and Vault 1.13 to 1.20.
_FAULTS = (
    ("message authentication failed", Fault.CORRUPT),
    ("disallowed by policy (too old)", Fault.VERSION_CLOSED),
    ("version is too new", Fault.VERSION_CLOSED),
    ("invalid ciphertext", Fault.CORRUPT),
    ("less than the minimum encryption key version", Fault.TARGET_CLOSED),
    ("higher than the latest key version", Fault.TARGET_CLOSED),
)


class Session(Protocol):
    """Sends requests under an identity."""

    def request(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Answer:
        """Send a request and return the response. Raises KeyringUnavailable."""


@dataclass(frozen=True, slots=True)
class Transit:
    """One key in one server, under one identity."""

    session: Session
    address: TransitAddress

    def key(self) -> TransitKey:
        """Return the key's metadata.

        Raises:
            KeyringUnavailable: the server cannot be used, or has no such symmetric key.
        """
        return self._metadata(self.session.request("get", self.address.path("keys")))

    def rotate(self) -> TransitKey:
        """Add a version, which becomes the latest, and return the new metadata."""
        self._changed(self.session.request("post", f"{self.address.path('keys')}/rotate", {}))
        return self.key()

    def configure(self, **settings: int) -> TransitKey:
        """Write minimum versions to the key's configuration, and return the new metadata."""
        self._changed(self.session.request("post", f"{self.address.path('keys')}/config", settings))
        return self.key()

    def trim(self, min_available_version: int) -> TransitKey:
        """Destroy all versions before this one; both other minimums must be above them."""
        body = {"min_available_version": min_available_version}
        self._changed(self.session.request("post", f"{self.address.path('keys')}/trim", body))
        return self.key()

    def capabilities(self, paths: Sequence[str]) -> Mapping[str, Any]:
        """Return what this identity may do with each path. Raises KeyringUnavailable if one is missing."""
        answer = self.session.request("post", "sys/capabilities-self", {"paths": list(paths)})
        # Vault and OpenBao repeat the response under ``data``.
        held = answer.data or answer.body
        # A missing path does not mean that it may not be used.
        if answer.status != _OK or not all(isinstance(held.get(path), list) for path in paths):
            raise KeyringUnavailable("Vault does not report what the sidecar's identity may do")
        return held

    def encrypt(self, items: Sequence[tuple[bytes, DataKey]], version: int) -> list[str | Fault]:
        """Return the ciphertexts of (context, DEK) under exactly ``version``."""
        batch: list[_Item] = [
            {"context": _text(context), "plaintext": _text(data_key.octets), "key_version": version}
            for context, data_key in items
        ]
        return [_ciphertext(result, version) for result in self._batch("encrypt", batch)]

    def rewrap(self, items: Sequence[tuple[bytes, str]], version: int) -> list[str | Fault]:
        """Return ciphertexts under exactly ``version``; the DEKs stay in the server."""
        batch: list[_Item] = [
            {"context": _text(context), "ciphertext": ciphertext, "key_version": version}
            for context, ciphertext in items
        ]
        return [_ciphertext(result, version) for result in self._batch("rewrap", batch)]

    def decrypt(self, items: Sequence[tuple[bytes, str]]) -> list[DataKey | Fault]:
        """Return the DEKs of (context, ciphertext)."""
        batch: list[_Item] = [
            {"context": _text(context), "ciphertext": ciphertext} for context, ciphertext in items
        ]
        return [_data_key(result) for result in self._batch("decrypt", batch)]

    def _batch(self, operation: str, items: Sequence[_Item]) -> Iterator[Mapping[str, Any]]:
        """Yield one result per item, in order."""
        for start, end in _chunks(items):
            yield from self._chunk(operation, items[start:end], start)

    def _chunk(self, operation: str, items: Sequence[_Item], start: int) -> Iterator[Mapping[str, Any]]:
        # The server repeats each item's reference, so results in another order are noticed.
        references = [str(start + index) for index in range(len(items))]
        answer = self.session.request(
            "post",
            self.address.path(operation),
            {
                "batch_input": [
                    {**item, "reference": reference}
                    for item, reference in zip(items, references, strict=True)
                ],
                # Without it one bad item makes the whole response a 400; rewrap always returns 200.
                **({} if operation == "rewrap" else {"partial_failure_response_code": _OK}),
            },
        )
        results = answer.data.get("batch_results")
        # If every item of a batch fails, the response is a 400 nevertheless, with its results.
        if answer.status in (_OK, _BAD_REQUEST) and isinstance(results, list):
            if [result.get("reference") for result in results] != references:
                raise KeyringUnavailable(
                    "Vault returned results for other items: it must be version 1.13 or newer"
                )
            yield from results
        elif _says_too_much(answer) and len(items) > 1:
            half = len(items) // 2
            yield from self._chunk(operation, items[:half], start)
            yield from self._chunk(operation, items[half:], start + half)
        else:
            raise KeyringUnavailable(self._failure(answer))

    def _metadata(self, answer: Answer) -> TransitKey:
        if answer.status != _OK:
            raise KeyringUnavailable(self._failure(answer))
        key: TransitKey | None
        try:
            key = TransitKey.read(self.address, answer.data)
        except ValueError:
            key = None
        if key is None:
            raise KeyringUnavailable(f"{self.address} is not a symmetric Transit key")
        return key

    def _changed(self, answer: Answer) -> None:
        # To a change Vault returns 204, OpenBao 200 and the metadata.
        if answer.status not in (_OK, 204):
            raise KeyringUnavailable(self._failure(answer))

    def _failure(self, answer: Answer) -> str:
        if answer.status == 404 or answer.complains_of("key not found"):
            return f"the Transit key {self.address} does not exist"
        return f"Vault refuses a request to {self.address} (HTTP {answer.status})"


def _chunks(items: Sequence[_Item]) -> Iterator[tuple[int, int]]:
    """Yield ranges of at most as many items as the server takes at once; all items have the same members."""
    if not items:
        return
    values = sum(isinstance(value, str) for value in items[0].values())
    strings = len(items[0]) + values + 2  # and the reference
    size = _STRINGS_LIMIT // strings
    for start in range(0, len(items), size):
        yield start, min(start + size, len(items))


def _says_too_much(answer: Answer) -> bool:
    """Return whether the request exceeds limits that were set below the defaults."""
    return answer.status == _TOO_LARGE or (answer.status == _BAD_REQUEST and answer.complains_of("JSON"))


def _ciphertext(result: Mapping[str, Any], version: int) -> str | Fault:
    error, ciphertext = result.get("error"), result.get("ciphertext")
    if error:
        return _fault(str(error))
    if not isinstance(ciphertext, str) or ciphertext_version(ciphertext) != version:
        return Fault.REFUSED
    return ciphertext


def _data_key(result: Mapping[str, Any]) -> DataKey | Fault:
    if error := result.get("error"):
        return _fault(str(error))
    octets = b""
    try:
        octets = base64.b64decode(str(result.get("plaintext")), validate=True)
    except binascii.Error:
        return Fault.CORRUPT
    return DataKey(octets) if len(octets) == DATA_KEY_LENGTH else Fault.CORRUPT


def _fault(error: str) -> Fault:
    return next((fault for words, fault in _FAULTS if words in error), Fault.REFUSED)


def _text(octets: bytes | bytearray) -> str:
    return base64.b64encode(octets).decode("ascii")
