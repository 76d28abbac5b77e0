"""Answering from a table that is at least as new as what the caller has seen, at whichever replica."""

from __future__ import annotations

from service.domain.errors import OutOfRange, Reason, invalid_field
from service.domain.history import MAX_REVISION, parse_token
from service.readmodel.live import LiveTable
from service.readmodel.snapshot import SnapshotReason

MIN_REVISION = "x-min-revision"
_DIGITS = len(str(MAX_REVISION))


async def at_least(live: LiveTable, wanted: str, seconds: float) -> None:
    """Return once the table has a revision, named by its number or its token.

    A token that is older than the change log counts as reached: which history it is of is not known any more.

    Raises:
        InvalidArgument: it is neither.
        OutOfRange: STORE_CHANGED, REVISION_AHEAD, the token is not of this store's history.
        Unavailable: REVISION_NOT_REACHED, the table has not come to it within so many seconds.
    """
    token = parse_token(wanted)
    if token is None:
        await live.at_least(_number(wanted), seconds)
        return
    found = await live.place(token, seconds)
    if isinstance(found, SnapshotReason) and found is not SnapshotReason.COMPACTED:
        raise OutOfRange(
            f"{MIN_REVISION}: the write of that token was lost: the database was restored or failed over to "
            "an older state. Read without it what is stored now",
            reason=Reason[found.name],
            metadata={"current_revision": str(live.current.revision)},
        )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) <= MAX_REVISION):
        raise invalid_field(
            MIN_REVISION,
            "must be a revision or its token, as a write returns them in x-revision and x-revision-token",
            rule="min_revision",
        )
    return int(text)
