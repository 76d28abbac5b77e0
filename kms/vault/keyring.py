"""The Transit keyring: KEKs stay in Vault or OpenBao, which wraps, opens and rewraps for the sidecar.

    body = ASCII "vault:v<N>:<base64>", made with context = base64(CTX) under a key that derives per context

Sees DEKs in passing, never a KEK, and not even DEKs when rewrapping. Errors name the rule that was broken,
never the server's text, since that may quote a request.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from kms.checks import checked_context, checked_wrapper
from kms.errors import StartError
from kms.formats import BACKEND_TRANSIT, DekContext, Wrapper, commitment
from kms.keyring import (
    KEY_VERSION_PREFIX,
    Backend,
    CorruptDataKey,
    DataKey,
    DecryptUnavailable,
    InvalidContext,
    KeyringError,
    KeyringStatus,
    KeyringUnavailable,
    KeyVersionNotPrimary,
    KeyVersionUnavailable,
    WrapItem,
    WrappedDataKey,
)
from kms.vault.key import TransitKey, ciphertext_version, version_number
from kms.vault.transit import Fault
from kms.vault.view import Known, VaultView


class VaultError(StartError):
    """The key or the identity is not fit to protect credentials."""


@dataclass(frozen=True, slots=True)
class _Opening:
    """One item to open or move: its index and its checked parts."""

    index: int
    item: WrappedDataKey
    context: DekContext
    number: int
    ciphertext: str

    @property
    def question(self) -> tuple[bytes, str]:
        """What is sent to the server."""
        return self.item.context, self.ciphertext


class VaultKeyring:
    """A ``Keyring`` over one Transit key. ``refresh`` must be called every few seconds."""

    def __init__(self, view: VaultView, *, complaint: Callable[[], str], deployment_id: bytes) -> None:
        """Read the key and the identity's rights; an unreachable server does not prevent the start.

        ``complaint`` returns what is wrong with the identity.

        Raises:
            VaultError: the key lacks an attribute, or the identity may do too much or too little.
        """
        self._view = view
        self._transit = view.transit
        self._complaint = complaint
        self._deployment_id = deployment_id
        with suppress(KeyringUnavailable):
            self.refresh()
        known = view.known_or_none
        if known is not None and known.faults:
            raise VaultError(f"{known.faults} (docs/runbooks/vault.md)")

    def refresh(self) -> None:
        """Read metadata and rights again, which also keeps the identity's token alive.

        If the key or the identity has become unfit, it wraps no more; what it wrapped before still opens.

        Raises:
            KeyringUnavailable: the server cannot be used, which ``status`` then reports.
        """
        self._view.refresh()

    def status(self) -> KeyringStatus:
        """Return the state of the key. ``seq`` is 0: there is no file that could be rolled back.

        Raises:
            KeyringUnavailable: the server has not been reached yet, so nothing is known of the key.
        """
        known = self._view.known
        opens = known.rights.open
        message = self._view.trouble or known.faults or self._complaint()
        return KeyringStatus(
            backend=Backend.VAULT_TRANSIT,
            deployment_id=self._deployment_id,
            primary=known.key.primary,
            accepted=known.key.names(),
            wrap_healthy=known.rights.wrap and not (self._view.trouble or known.faults),
            unwrap_healthy=opens and not self._view.trouble,
            message=message or ("" if opens else DecryptUnavailable().message),
            seq=0,
        )

    def wrap(self, items: Sequence[WrapItem]) -> list[WrappedDataKey | KeyringError]:
        """Wrap data keys. Where the identity may open, each wrapped key is opened before it is returned."""
        known = self._view.may_wrap()
        done: dict[int, WrappedDataKey | KeyringError] = {}
        good: dict[int, WrapItem] = {}
        for index, item in enumerate(items):
            try:
                checked_context(item.context, self._deployment_id)
                good[index] = item
            except KeyringError as error:
                done[index] = error
        with self._view.watched(bool(good)):
            done.update(zip(good, self._wrapped(known, list(good.values())), strict=True))
        return [done[index] for index in range(len(items))]

    def unwrap(self, items: Sequence[WrappedDataKey]) -> list[DataKey | KeyringError]:
        """Open wrapped keys.

        Raises:
            DecryptUnavailable: this sidecar's identity may not open.
        """
        if not self._view.known.rights.open:
            raise DecryptUnavailable
        refused, openings = self._openings(items)
        done: dict[int, DataKey | KeyringError] = {**refused}
        with self._view.watched(bool(openings)):
            outcomes = self._transit.decrypt([opening.question for opening in openings])
            if Fault.CORRUPT in outcomes:
                # A key that was deleted and re-created opens nothing either, but that is not corruption.
                self._view.read_again()
        for opening, outcome in zip(openings, outcomes, strict=True):
            done[opening.index] = self._opened(opening, outcome)
        return [done[index] for index in range(len(items))]

    def rewrap(self, items: Sequence[WrappedDataKey], target: str) -> list[WrappedDataKey | KeyringError]:
        """Move wrapped keys. The DEKs stay in Vault, so only ``verify`` checks their commitments."""
        if target != self._view.key.primary:
            self._view.read_again()
        key = self._view.may_wrap().key
        if target != key.primary:
            raise KeyVersionNotPrimary(key.primary)
        refused, openings = self._openings(items)
        done: dict[int, WrappedDataKey | KeyringError] = {**refused}
        # The server would wrap again what is already under the target; return that unchanged.
        done.update((each.index, each.item) for each in openings if each.number == key.latest)
        moving = [opening for opening in openings if opening.number != key.latest]
        with self._view.watched(bool(moving)):
            outcomes = self._moved(key, moving)
        for opening, outcome in zip(moving, outcomes, strict=True):
            done[opening.index] = (
                self._failure(opening, outcome)
                if isinstance(outcome, Fault)
                else replace(opening.item, wrapped=_encoded(target, outcome), key_version=target)
            )
        return [done[index] for index in range(len(items))]

    def verify(self, items: Sequence[WrappedDataKey]) -> list[KeyringError | None]:
        """Open wrapped keys and wipe them. Raises as ``unwrap`` does."""
        results: list[KeyringError | None] = []
        for result in self.unwrap(items):
            if isinstance(result, DataKey):
                result.wipe()
                results.append(None)
            else:
                results.append(result)
        return results

    def _still_there(self, key: TransitKey) -> None:
        """Check that the key still has the creation time that is in the version's name.

        Raises:
            KeyringUnavailable: it was deleted and re-created in the meantime.
        """
        if self._view.read().number(key.primary) is None:
            raise KeyringUnavailable(f"the Transit key {key.address} was re-created")

    def _wrapped(self, known: Known, items: Sequence[WrapItem]) -> list[WrappedDataKey | KeyringError]:
        if not items:
            return []
        key = known.key
        questions = [(item.context, item.data_key) for item in items]
        outcomes = self._transit.encrypt(questions, key.latest)
        if Fault.TARGET_CLOSED in outcomes:  # rotated elsewhere since it was last read
            key = self._view.read()
            outcomes = self._transit.encrypt(questions, key.latest)
        self._still_there(key)
        if known.rights.open:
            self._opens_again(items, outcomes)
        return [
            KeyringUnavailable("Vault did not wrap the data key")
            if isinstance(outcome, Fault)
            else WrappedDataKey(
                wrapped=_encoded(key.primary, outcome),
                key_version=key.primary,
                commitment=commitment(item.data_key.octets, item.context),
                context=item.context,
            )
            for item, outcome in zip(items, outcomes, strict=True)
        ]

    def _opens_again(self, items: Sequence[WrapItem], outcomes: list[str | Fault]) -> None:
        """Open each new wrapped key. Raises KeyringUnavailable if it does not hold the key that went in."""
        made = [
            (item, outcome)
            for item, outcome in zip(items, outcomes, strict=True)
            if not isinstance(outcome, Fault)
        ]
        opened = self._transit.decrypt([(item.context, ciphertext) for item, ciphertext in made])
        for (item, _), data_key in zip(made, opened, strict=True):
            same = isinstance(data_key, DataKey) and hmac.compare_digest(
                data_key.octets, item.data_key.octets
            )
            if isinstance(data_key, DataKey):
                data_key.wipe()
            if not same:
                raise KeyringUnavailable("Vault does not return the key that it wrapped")

    def _moved(self, key: TransitKey, moving: Sequence[_Opening]) -> list[str | Fault]:
        if not moving:
            return []
        outcomes = self._transit.rewrap([opening.question for opening in moving], key.latest)
        self._still_there(key)
        primary = self._view.key.primary
        if Fault.TARGET_CLOSED in outcomes and primary != key.primary:
            raise KeyVersionNotPrimary(primary)
        return outcomes

    def _openings(self, items: Sequence[WrappedDataKey]) -> tuple[dict[int, KeyringError], list[_Opening]]:
        """Return the refused items by index, and what to send to the server."""
        refused: dict[int, KeyringError] = {}
        openings: list[_Opening] = []
        for index, item in enumerate(items):
            try:
                openings.append(self._opening(index, item))
            except (CorruptDataKey, InvalidContext, KeyVersionUnavailable) as error:
                refused[index] = error
        return refused, openings

    def _opening(self, index: int, item: WrappedDataKey) -> _Opening:
        context = checked_context(item.context, self._deployment_id)
        wrapper = checked_wrapper(item, context)
        number = self._number(item.key_version)
        if wrapper.backend != BACKEND_TRANSIT or number is None:
            raise KeyVersionUnavailable(item.key_version)
        ciphertext = wrapper.body.decode("latin-1")
        if ciphertext_version(ciphertext) != number:
            raise CorruptDataKey(context.dek_id)
        return _Opening(index, item, context, number, ciphertext)

    def _number(self, name: str) -> int | None:
        """Return the number of a version that opens here, including one created elsewhere a moment ago."""
        key = self._view.key
        number = key.number(name)
        if number is None and (version_number(name) or 0) > key.latest:
            self._view.read_again()
            number = self._view.key.number(name)
        return number

    def _opened(self, opening: _Opening, outcome: DataKey | Fault) -> DataKey | KeyringError:
        if isinstance(outcome, Fault):
            return self._failure(opening, outcome)
        expected = commitment(outcome.octets, opening.item.context)
        if not hmac.compare_digest(expected, opening.item.commitment):
            outcome.wipe()
            return CorruptDataKey(opening.context.dek_id)
        return outcome

    def _failure(self, opening: _Opening, fault: Fault) -> KeyringError:
        """Return the error of an item that the server refused."""
        name = opening.item.key_version
        if fault is Fault.VERSION_CLOSED or self._view.key.number(name) is None:
            return KeyVersionUnavailable(name)
        if fault is Fault.CORRUPT:
            return CorruptDataKey(opening.context.dek_id)
        return KeyringUnavailable("Vault did not open the data key")


def _encoded(name: str, ciphertext: str) -> bytes:
    ref = name.removeprefix(KEY_VERSION_PREFIX)
    return Wrapper(BACKEND_TRANSIT, ref, ciphertext.encode("ascii")).encode()
