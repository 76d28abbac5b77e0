"""Pages of a list: how large they are, and the token that leads to the next one.

A token holds the position after the last row of a page and a MAC over that position and the query it belongs
to. So a token of another list, parent, filter or order is refused, and so is one that a client has edited.

| part   | bytes | what                                                                         |
|--------|-------|------------------------------------------------------------------------------|
| mac    | 32    | HMAC-SHA256 over LP(label, method, parent, filter, order_by, payload)        |
| payload| rest  | UTF-8 JSON array: keys, first page's revision token, total size              |

Together they are base64url without padding. LP(x…) is each x as a 4-byte big-endian length and its bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from service.domain.errors import InvalidArgument, Reason, invalid_field

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
MIN_KEY_BYTES = 32

_LABEL = "codevector/page-token/1"
_MAC_BYTES = 32
_MAX_TOKEN_LENGTH = 2048

Key = str | int | None
"""One column of a keyset position."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a token is bound to: the RPC's name, and the fields that decide which rows come in what order."""

    method: str
    parent: str = ""
    filter: str = ""
    order_by: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the next page begins: after the row with these ordering columns.

    ``at`` is the revision token of what the first page was read from (empty: not kept); ``total_size`` is the
    number of rows counted then (None: not counted).
    """

    keys: tuple[Key, ...]
    at: str = ""
    total_size: int | None = None


def effective_page_size(requested: int) -> int:
    """Return the number of rows to read: 50 when unset, at most 1,000.

    Raises:
        InvalidArgument: ``requested`` is negative.
    """
    if requested < 0:
        raise invalid_field("page_size", "must not be negative", rule="page_size.gte")
    return min(requested or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


class PageTokens:
    """Issues and reads page tokens under one secret key, which every replica shares."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"a page token key has at least {MIN_KEY_BYTES} bytes")
        self._key = key

    def issue(self, query: Query, position: Position) -> str:
        """Return the token of the page that begins after ``position``."""
        content = [list(position.keys), position.at, position.total_size]
        payload = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        return urlsafe_b64encode(self._mac(query, payload) + payload).rstrip(b"=").decode()

    def read(self, query: Query, token: str) -> Position | None:
        """Return the position in a token, or None for the empty token: the first page.

        Raises:
            InvalidArgument: reason INVALID_PAGE_TOKEN, whatever is wrong with it.
        """
        if not token:
            return None
        raw = _decode(token)
        if raw is None:
            raise _invalid()
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(query, payload)):
            raise _invalid()
        keys, at, total_size = json.loads(payload)
        return Position(tuple(keys), at, total_size)

    def _mac(self, query: Query, payload: bytes) -> bytes:
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        for text in (_LABEL, query.method, query.parent, query.filter, query.order_by):
            field = text.encode("utf-8", "surrogatepass")
            mac.update(len(field).to_bytes(4, "big") + field)
        mac.update(len(payload).to_bytes(4, "big") + payload)
        return mac.digest()


def _decode(token: str) -> bytes | None:
    """Return the bytes of a token in its one canonical spelling, else None."""
    if len(token) > _MAX_TOKEN_LENGTH or not token.isascii():
        return None
    encoded = token.encode()
    try:
        raw = urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4))
    except ValueError:
        return None
    return raw if urlsafe_b64encode(raw).rstrip(b"=") == encoded else None


def _invalid() -> InvalidArgument:
    description = "is not a token of this list: repeat the first page's request without a token"
    return invalid_field("page_token", description, rule="page_token.valid", reason=Reason.INVALID_PAGE_TOKEN)
