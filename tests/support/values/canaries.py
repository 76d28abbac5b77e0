"""Credentials that sing: made up, marked, and found again in whatever way they were written down.

A marker stands twice in each canary, behind the characters that lists may show: a part of a credential is
found as well as the whole.
"""

from __future__ import annotations

import base64
import html
import json
import random
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SURROUNDINGS_BYTES = 48


def _base64_at_any_offset(text: str) -> Iterator[bytes]:
    """What base64 makes of the text wherever it stands in a larger whole, without the ends that vary."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            octets = b"\x00" * offset + text.encode()
            first = 4 if offset else 0
            yield encode(octets)[first : len(octets) // 3 * 4]


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


ENCODINGS: Mapping[str, Callable[[str], Iterable[bytes]]] = {
    "raw": lambda text: [text.encode()],
    "base64": _base64_at_any_offset,
    "hex": lambda text: [text.encode().hex().encode(), text.encode().hex().upper().encode()],
    "URL": lambda text: [
        urllib.parse.quote(text, safe="").encode(),
        urllib.parse.quote_plus(text, safe="/").encode(),
        "".join(f"%{octet:02X}" for octet in text.encode()).encode(),
    ],
    "JSON": lambda text: [
        _json(text).encode(),
        _json(_json(text)).encode(),
        _json(text).replace("/", "\\/").encode(),
        "".join(f"\\u{ord(character):04x}" for character in text).encode(),
    ],
    "reversed": lambda text: [text[::-1].encode()],
    "UTF-16": lambda text: [text.encode("utf-16-le"), text.encode("utf-16-be")],
    "repr": lambda text: [repr(text)[1:-1].encode(), repr(text.encode())[2:-1].encode()],
    "HTML": lambda text: [html.escape(text).encode()],
}


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a marker was found, in which encoding, and what stands around it."""

    where: str
    encoding: str
    around: bytes


class Canaries:
    """Makes canaries, each with a number of its own, and finds any of them."""

    def __init__(self, chance: random.Random) -> None:
        self._plain = "".join(chance.choices(_ALPHABET, k=12))
        marker = "".join(chance.choices(_ALPHABET, k=3))
        # Characters that every encoding writes in another way; a PEM body takes none but the slash and plus.
        self._special = f'/{marker}"\\+<&=%{marker[::-1]}/'
        self._pem = f"+{''.join(chance.choices(_ALPHABET, k=12))}/+"
        self._made = 0
        self._needles = [
            (name, needle)
            for name, encode in ENCODINGS.items()
            for marker in (self._plain, self._special, self._pem)
            for needle in encode(marker)
        ]

    def text(self, *, length: int = 0) -> str:
        """A canary of printable ASCII, of at least ``length`` characters."""
        self._made += 1
        core = f"{self._plain}{self._special}{self._made:04d}"
        return core + "z" * (length - 2 * len(core)) + core

    def api_key(self, *, length: int = 0) -> str:
        """A canary that looks like an OpenAI key."""
        return f"sk-proj-shwn{self.text(length=length)}"

    def private_key(self) -> str:
        """A canary that looks like a PEM private key."""
        self._made += 1
        line = f"MIIE{self._pem}{self._plain}{self._made:04d}{self._pem}"
        return f"-----BEGIN PRIVATE KEY-----\n{line}\n{line}\n-----END PRIVATE KEY-----\n"

    def hits(self, where: str, octets: bytes) -> list[Hit]:
        """All encodings in which a marker stands in the octets."""
        found = []
        for encoding, needle in self._needles:
            place = octets.find(needle)
            if place >= 0:
                around = octets[max(0, place - _SURROUNDINGS_BYTES) : place + _SURROUNDINGS_BYTES]
                found.append(Hit(where, encoding, around))
        return found

    def hits_under(self, directory: Path) -> list[Hit]:
        """The hits in every file, whatever it is. SQLite may move its log into its database meanwhile."""
        files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
        assert files, f"nothing to search under {directory}"
        files.sort(key=lambda path: not path.name.endswith("-wal"))
        return [hit for path in files for hit in self.hits(str(path), path.read_bytes())]
