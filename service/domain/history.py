"""Which history a revision belongs to: numbers repeat after a restore or a failover, commit ids do not.

Every commit has a random id. The *content id* of a routing table at a revision is the id of the last commit
up to it that changed anything for routers. Two tables of one store with the same revision and content id are
the same table. A `RevisionToken` carries both to clients and back.

| part       | bytes | what                                                          |
|------------|-------|---------------------------------------------------------------|
| version    | 1     | 1                                                             |
| store id   | 16    | the UUID's bytes                                              |
| content id | 16    | the UUID's bytes                                              |
| revision   | 8     | unsigned, big-endian                                          |
| scope      | 8     | zeros: reserved for what part of the table its holder may see |

Together they are base64url without padding. There is no MAC: forging a token harms only the forger.
"""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

_VERSION = 1
_LAYOUT = struct.Struct(">B16s16sQ8s")
_UNSCOPED = bytes(8)
MAX_REVISION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RevisionToken:
    """A revision of a store, and the content id of the routing table there."""

    store_id: UUID
    content_id: UUID
    revision: int

    def __str__(self) -> str:
        packed = _LAYOUT.pack(_VERSION, self.store_id.bytes, self.content_id.bytes, self.revision, _UNSCOPED)
        return urlsafe_b64encode(packed).rstrip(b"=").decode()


def parse_token(text: str) -> RevisionToken | None:
    """The token that ``text`` spells in its one canonical form, else None."""
    try:
        packed = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        version, store_id, content_id, revision, scope = _LAYOUT.unpack(packed)
    except (ValueError, struct.error):
        return None
    if version != _VERSION or scope != _UNSCOPED or revision > MAX_REVISION:
        return None
    token = RevisionToken(UUID(bytes=store_id), UUID(bytes=content_id), revision)
    return token if str(token) == text else None
