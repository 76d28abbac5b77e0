"""Routing entries as bytes: each row encoded once, answers joined from ready rows.

Repeated message fields are (tag, length, bytes) one after the other, and serialized messages that are
concatenated are merged by every reader, so an answer is the small part serialized as usual plus the rows.
Source: Protocol Buffers encoding, "Last One Wins" and length-delimited records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from codevector.providers.v1 import model_pb2, routing_service_pb2
from google.protobuf.message import Message

from service.domain.history import RevisionToken
from service.domain.routing import ActiveModel, ActiveProviderModel, Entry, EntryKind, RoutingProvider
from service.readmodel.snapshot import Codec, RowChange, SnapshotReason
from service.rpc.convert import enum_number, pricing_to_pb, provider_config_to_pb

CHUNK_BYTES = 500 << 10
"""How many bytes of rows go into one message of a snapshot at most. Two new segments do, with their tags."""

NOT_MODIFIED = routing_service_pb2.GetRoutingSnapshotResponse(not_modified=True).SerializeToString()


def encode_rows(entries: Sequence[Entry]) -> list[bytes]:
    """Return each entry's message with its length in front.

    Of provider models most have the same kind, limits, prices, capabilities and labels as many others; those
    that share these values, and not only equal ones, have the bytes of them made once.
    """
    tails: dict[tuple[int, ...], bytes] = {}
    return [
        _delimited(
            _provider_model_bytes(entry, tails)
            if isinstance(entry, ActiveProviderModel)
            else _message(entry).SerializeToString(deterministic=True)
        )
        for entry in entries
    ]


def encode_segment(kind: EntryKind, rows: Sequence[bytes]) -> bytes:
    """Return rows of one kind as a repeated field.

    It has the same number in RoutingSnapshot and SnapshotChunk, so that a segment belongs into either.
    """
    return _repeated(_TABLE_TAGS[kind], rows)


def encode_whole(at: RevisionToken, segments: Sequence[bytes]) -> bytes:
    """Return the complete GetRoutingSnapshotResponse."""
    head = routing_service_pb2.RoutingSnapshot(
        revision=at.revision, store_id=str(at.store_id), token=str(at)
    ).SerializeToString()
    size = len(head) + sum(map(len, segments))
    return b"".join((_SNAPSHOT_TAG, _varint(size), head, *segments))


def encode_chunks(at: RevisionToken, segments: Sequence[bytes], reason: SnapshotReason) -> tuple[bytes, ...]:
    """Return the WatchRoutingResponses of a snapshot: as few as their size allows, one for an empty table."""
    chunks = []
    inner = routing_service_pb2.WatchRoutingResponse(store_id=str(at.store_id)).SerializeToString()
    parts = list(_together(segments)) or [[]]
    for number, part in enumerate(parts, start=1):
        first, last = number == 1, number == len(parts)
        head = routing_service_pb2.SnapshotChunk(
            first=first, last=last, reason=enum_number(reason if first else None)
        ).SerializeToString()
        outer = _where(at).SerializeToString() if last else inner
        size = _varint(len(head) + sum(map(len, part)))
        chunks.append(b"".join((outer, _SNAPSHOT_CHUNK_TAG, size, head, *part)))
    return tuple(chunks)


def encode_change_set(at: RevisionToken, changes: Sequence[RowChange], commit_time: datetime) -> bytes:
    """Return the WatchRoutingResponse of one revision."""
    rows = []
    for change in changes:
        if change.row is None:
            body = routing_service_pb2.RoutingChange(removed=change.name).SerializeToString()
        else:
            body = _CHANGE_TAGS[change.kind] + change.row.encoded
        rows.append(_delimited(body))
    rest = routing_service_pb2.ChangeSet(commit_time=commit_time).SerializeToString()
    return _where(at).SerializeToString() + _CHANGE_SET_TAG + _delimited(_repeated(_CHANGES_TAG, rows) + rest)


def encode_bookmark(at: RevisionToken, now: datetime, age: timedelta, draining: bool) -> bytes:
    """Return the WatchRoutingResponse of a sign of life."""
    response = _where(at)
    bookmark = routing_service_pb2.Bookmark(server_time=now, table_age=age, draining=draining)
    response.bookmark.MergeFrom(bookmark)
    return response.SerializeToString()


def _where(at: RevisionToken) -> routing_service_pb2.WatchRoutingResponse:
    return routing_service_pb2.WatchRoutingResponse(
        store_id=str(at.store_id), revision=at.revision, token=str(at)
    )


def encode_page(provider_model_rows: Sequence[bytes], *, next_page_token: str, token: RevisionToken) -> bytes:
    """Return the complete ListActiveProviderModelsResponse."""
    rest = routing_service_pb2.ListActiveProviderModelsResponse(
        next_page_token=next_page_token,
        revision=token.revision,
        store_id=str(token.store_id),
        token=str(token),
    )
    return _repeated(_ACTIVE_PROVIDER_MODELS_TAG, provider_model_rows) + rest.SerializeToString()


def _message(entry: RoutingProvider | ActiveModel) -> Message:
    return _provider(entry) if isinstance(entry, RoutingProvider) else _model(entry)


def _provider_model_bytes(entry: ActiveProviderModel, tails: dict[tuple[int, ...], bytes]) -> bytes:
    """Return the message's bytes as protobuf would serialize them, in the order of field numbers.

    ``tails`` has the bytes after the upstream id. What they are of is alive as long as the entries are, so
    that its ids stand for it.
    """
    shared = (
        entry.kind,
        entry.context_window,
        entry.max_output_tokens,
        entry.embedding_dimensions,
        id(entry.pricing),
        id(entry.capabilities),
        id(entry.labels),
    )
    tail = tails.get(shared)
    if tail is None:
        tail = tails[shared] = _provider_model_tail(entry).SerializeToString(deterministic=True)
    head = routing_service_pb2.ActiveProviderModel(
        name=entry.name,
        provider=entry.provider,
        provider_kind=enum_number(entry.provider_kind),
        upstream_model_id=entry.upstream_model_id,
    )
    return head.SerializeToString() + tail


def _provider(entry: RoutingProvider) -> routing_service_pb2.RoutingProvider:
    return routing_service_pb2.RoutingProvider(
        name=entry.name,
        uid=str(entry.uid),
        kind=enum_number(entry.kind),
        display_name=entry.display_name,
        config=provider_config_to_pb(entry.kind, entry.config),
        credential_type=enum_number(entry.credential_type),
        credential_version=entry.credential_version,
        labels=entry.labels,
    )


def _provider_model_tail(entry: ActiveProviderModel) -> routing_service_pb2.ActiveProviderModel:
    return routing_service_pb2.ActiveProviderModel(
        kind=enum_number(entry.kind),
        context_window=entry.context_window,
        max_output_tokens=entry.max_output_tokens,
        embedding_dimensions=entry.embedding_dimensions,
        pricing=pricing_to_pb(entry.pricing),
        capabilities=[enum_number(capability) for capability in entry.capabilities],
        labels=entry.labels,
    )


def _model(entry: ActiveModel) -> routing_service_pb2.ActiveModel:
    return routing_service_pb2.ActiveModel(
        name=entry.name,
        kind=enum_number(entry.kind),
        backends=[
            model_pb2.ModelBackend(
                provider_model=backend.provider_model,
                priority=backend.priority,
                weight=backend.weight,
                routable=True,
            )
            for backend in entry.backends
        ],
        labels=entry.labels,
    )


def _tag(message: type[Message], field: str) -> bytes:
    """Return the tag of a length-delimited field: number << 3 | wire type 2, one byte up to number 15."""
    return bytes([message.DESCRIPTOR.fields_by_name[field].number << 3 | 2])


_SNAPSHOT_TAG = _tag(routing_service_pb2.GetRoutingSnapshotResponse, "snapshot")
_TABLE_TAGS = {
    EntryKind.PROVIDER: _tag(routing_service_pb2.RoutingSnapshot, "providers"),
    EntryKind.PROVIDER_MODEL: _tag(routing_service_pb2.RoutingSnapshot, "provider_models"),
    EntryKind.MODEL: _tag(routing_service_pb2.RoutingSnapshot, "models"),
}
_ACTIVE_PROVIDER_MODELS_TAG = _tag(
    routing_service_pb2.ListActiveProviderModelsResponse, "active_provider_models"
)


_SNAPSHOT_CHUNK_TAG = _tag(routing_service_pb2.WatchRoutingResponse, "snapshot_chunk")
_CHANGE_SET_TAG = _tag(routing_service_pb2.WatchRoutingResponse, "change_set")
_CHANGES_TAG = _tag(routing_service_pb2.ChangeSet, "changes")
_CHANGE_TAGS = {
    EntryKind.PROVIDER: _tag(routing_service_pb2.RoutingChange, "provider"),
    EntryKind.PROVIDER_MODEL: _tag(routing_service_pb2.RoutingChange, "provider_model"),
    EntryKind.MODEL: _tag(routing_service_pb2.RoutingChange, "model"),
}


def _together(segments: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield segments that fit into one chunk; one that is too large has its own."""
    part: list[bytes] = []
    size = 0
    for segment in segments:
        if part and size + len(segment) > CHUNK_BYTES:
            yield part
            part, size = [], 0
        part.append(segment)
        size += len(segment)
    if part:
        yield part


def _repeated(tag: bytes, rows: Sequence[bytes]) -> bytes:
    return tag + tag.join(rows) if rows else b""


def _delimited(message: bytes) -> bytes:
    return _varint(len(message)) + message


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


CODEC = Codec(encode_rows, encode_segment, encode_whole, encode_chunks, encode_change_set, encode_bookmark)
