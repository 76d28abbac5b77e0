"""Page tokens of lists that only grow at their end: an offset, authenticated by this process."""

from __future__ import annotations

import base64
import binascii
import hmac

from kms.rpc.errors import InvalidPageToken

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_LIMIT = 1000

_TAG_LENGTH = 16


class PageTokens:
    """Makes and reads tokens under a key of 32 random bytes.

    Entries are only ever added, so an offset stays valid. ``of`` is what the next request must repeat.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, offset: int, of: bytes = b"") -> str:
        """Return the token of the page that starts at ``offset``."""
        octets = offset.to_bytes(4, "big")
        return base64.urlsafe_b64encode(octets + self._tag(octets, of)).decode("ascii")

    def read(self, token: str, of: bytes = b"") -> int:
        """Return the offset; 0 for the empty token. Raises InvalidPageToken."""
        if not token:
            return 0
        try:
            octets = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise InvalidPageToken from None
        if not hmac.compare_digest(octets[4:], self._tag(octets[:4], of)):
            raise InvalidPageToken
        return int.from_bytes(octets[:4], "big")

    def _tag(self, octets: bytes, of: bytes) -> bytes:
        return hmac.digest(self._key, octets + of, "sha256")[:_TAG_LENGTH]


def page_size(requested: int) -> int:
    """Return the page size that applies: a default for 0, at most the limit."""
    return min(requested or PAGE_SIZE_DEFAULT, PAGE_SIZE_LIMIT)
