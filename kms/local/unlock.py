"""The secret that opens the keyring file: a systemd credential, a key file, or a passphrase through scrypt.

May see the unlock key and the passphrase. Must never hand out more than the 32-byte root.
There is no default passphrase, and no way to serve without one of the three.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from pathlib import Path

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from kms.errors import StartError
from kms.files.private import FileError, create_private, read_private, read_systemd_credential

UNLOCK_KEY_LENGTH = 32
SYSTEMD_CREDENTIAL_NAME = "codevector-kms-unlock"

# Cost of scrypt with r=8, p=1: 2**17 takes 128 MiB (OWASP's figure); 2**20 takes 1 GiB, and a file that asks
# for more would only exhaust the machine. Below the floor, trying passphrases on a stolen file is too cheap.
SCRYPT_LOG2_N_FLOOR = 17
SCRYPT_LOG2_N_CEILING = 20
SCRYPT_SALT_LENGTH = 16
_SCRYPT_R = 8
_SCRYPT_P = 1

_PASSPHRASE_MIN_LENGTH = 16
_PASSPHRASE_MIN_DISTINCT = 8
_SIMPLE_STEPS = 3  # distances between neighbours: 0123456789012345 has two, random text many
_PASSPHRASE_FILE_LIMIT = 1024


class UnlockError(StartError):
    """The unlock secret is missing, weak, or not the kind this keyring needs; one sentence."""


class UnlockKind(Enum):
    """Where the secret comes from; the value names it to the operator."""

    SYSTEMD_CREDENTIAL = "systemd credential"
    KEY_FILE = "key file"
    PASSPHRASE_FILE = "passphrase file"  # noqa: S105 - a word for the operator


@dataclass(frozen=True, slots=True)
class UnlockSource:
    """The one source in use."""

    kind: UnlockKind
    path: Path

    def __str__(self) -> str:
        return f"{self.kind.value} {self.path}"


@dataclass(frozen=True, slots=True)
class KeyMethod:
    """The root is the 32 bytes of the source themselves."""


@dataclass(frozen=True, slots=True)
class ScryptMethod:
    """The root is scrypt(passphrase, salt, N = 2**log2_n, r = 8, p = 1), 32 bytes. Source: RFC 7914."""

    log2_n: int
    salt: bytes

    def __post_init__(self) -> None:
        if not SCRYPT_LOG2_N_FLOOR <= self.log2_n <= SCRYPT_LOG2_N_CEILING:
            bounds = f"2^{SCRYPT_LOG2_N_FLOOR}..2^{SCRYPT_LOG2_N_CEILING}"
            raise UnlockError(f"the keyring's scrypt cost 2^{self.log2_n} is outside {bounds}")
        if len(self.salt) != SCRYPT_SALT_LENGTH:
            raise UnlockError(f"the keyring's scrypt salt must have {SCRYPT_SALT_LENGTH} bytes")


UnlockMethod = KeyMethod | ScryptMethod


@dataclass(frozen=True, slots=True)
class UnlockRoot:
    """The secret that the keyring file's own keys are derived from."""

    octets: bytes = field(repr=False)


def prepare(source: UnlockSource, random: Callable[[int], bytes]) -> UnlockMethod:
    """Return the unlock method of a new keyring; create the key file if it is the source and missing.

    Raises:
        UnlockError: the passphrase is weak, or the source cannot be read.
    """
    if source.kind is UnlockKind.PASSPHRASE_FILE:
        refuse_weak(_read_passphrase(source))
        return ScryptMethod(SCRYPT_LOG2_N_FLOOR, random(SCRYPT_SALT_LENGTH))
    if source.kind is UnlockKind.KEY_FILE:
        try:
            create_private(source.path, random(UNLOCK_KEY_LENGTH))
        except FileExistsError:
            pass  # from an interrupted or earlier init: used as it is
        except OSError as error:
            raise UnlockError(f"the unlock key {source.path} cannot be made: {error.strerror}") from None
    return KeyMethod()


def unlock(source: UnlockSource, method: UnlockMethod) -> UnlockRoot:
    """Return the root of a keyring with this unlock method.

    Raises:
        UnlockError: the source is missing, malformed, or of the other kind.
    """
    if isinstance(method, ScryptMethod):
        if source.kind is not UnlockKind.PASSPHRASE_FILE:
            raise UnlockError("the keyring opens with a passphrase: set CODEVECTOR_KEYRING_PASSPHRASE_FILE")
        kdf = Scrypt(method.salt, UNLOCK_KEY_LENGTH, 1 << method.log2_n, _SCRYPT_R, _SCRYPT_P)
        return UnlockRoot(kdf.derive(_read_passphrase(source)))
    if source.kind is UnlockKind.PASSPHRASE_FILE:
        raise UnlockError("the keyring opens with an unlock key: unset CODEVECTOR_KEYRING_PASSPHRASE_FILE")
    key = _read(source, UNLOCK_KEY_LENGTH)
    if len(key) != UNLOCK_KEY_LENGTH:
        raise UnlockError(f"the unlock key in {source.path} must have {UNLOCK_KEY_LENGTH} bytes")
    return UnlockRoot(key)


def refuse_weak(passphrase: bytes) -> None:
    """Refuse a passphrase that is short, repeats itself, or counts up or down. Raises UnlockError.

    This catches carelessness only; use 16 random characters or six diceware words.
    """
    try:
        text = passphrase.decode("utf-8")
    except UnicodeDecodeError:
        raise UnlockError("the passphrase must be UTF-8 text") from None
    if len(text) < _PASSPHRASE_MIN_LENGTH:
        raise UnlockError(
            f"the passphrase is too weak: use {_PASSPHRASE_MIN_LENGTH} characters, or six random words"
        )
    repeats = any(text == (text[:period] * len(text))[: len(text)] for period in range(1, len(text) // 2 + 1))
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    if repeats or len(steps) <= _SIMPLE_STEPS or len(set(text.casefold())) < _PASSPHRASE_MIN_DISTINCT:
        raise UnlockError(
            "the passphrase is too weak: it repeats itself or follows a simple pattern; use six random words"
        )


def _read_passphrase(source: UnlockSource) -> bytes:
    """Return the file's content without a final line end."""
    content = _read(source, _PASSPHRASE_FILE_LIMIT)
    return content.removesuffix(b"\n").removesuffix(b"\r")


def _read(source: UnlockSource, limit: int) -> bytes:
    read = read_systemd_credential if source.kind is UnlockKind.SYSTEMD_CREDENTIAL else read_private
    try:
        return read(source.path, limit=limit)
    except FileNotFoundError:
        raise UnlockError(f"the {source} is missing") from None
    except FileError as error:
        raise UnlockError(f"the {source.kind.value} is refused: {error}") from None
