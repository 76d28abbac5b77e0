"""Routing entries as bytes: each row encoded once, answers joined from ready rows.

Repeated message fields are (tag, length, bytes) one after the other, and serialized messages that are
concatenated are merged by every reader, so an answer is the small part serialized as usual plus the rows.
Source: Protocol Buffers encoding, "Last One Wins" and length-delimited records.
"""

from __future__ import annotations

from collections.abc import Sequence

from codevector.providers.v1 import model_pb2, routing_service_pb2
from google.protobuf.message import Message

from service.domain.routing import ActiveModel, ActiveProviderModel, Entry, RoutingProvider
from service.rpc.convert import pricing_to_pb, provider_config_to_pb, wire

NOT_MODIFIED = routing_service_pb2.GetRoutingSnapshotResponse(not_modified=True).SerializeToString()


def encode_row(entry: Entry) -> bytes:
    """One entry's message with its length in front."""
    return _delimited(_message(entry).SerializeToString(deterministic=True))


def encode_whole(
    revision: int,
    store_id: str,
    provider_rows: Sequence[bytes],
    model_rows: Sequence[bytes],
    facade_rows: Sequence[bytes],
) -> bytes:
    """The complete GetRoutingSnapshotResponse, of providers, provider models and models."""
    head = routing_service_pb2.RoutingSnapshot(revision=revision, store_id=store_id).SerializeToString()
    table = (
        head
        + _repeated(_PROVIDERS_TAG, provider_rows)
        + _repeated(_PROVIDER_MODELS_TAG, model_rows)
        + _repeated(_MODELS_TAG, facade_rows)
    )
    return _SNAPSHOT_TAG + _delimited(table)


def encode_page(model_rows: Sequence[bytes], *, next_page_token: str, revision: int, store_id: str) -> bytes:
    """The complete ListActiveProviderModelsResponse."""
    rest = routing_service_pb2.ListActiveProviderModelsResponse(
        next_page_token=next_page_token, revision=revision, store_id=store_id
    )
    return _repeated(_ACTIVE_PROVIDER_MODELS_TAG, model_rows) + rest.SerializeToString()


def _message(entry: Entry) -> Message:
    match entry:
        case RoutingProvider():
            return _provider(entry)
        case ActiveProviderModel():
            return _model(entry)
        case ActiveModel():
            return _facade(entry)


def _provider(entry: RoutingProvider) -> routing_service_pb2.RoutingProvider:
    return routing_service_pb2.RoutingProvider(
        name=entry.name,
        uid=str(entry.uid),
        kind=wire(entry.kind),
        display_name=entry.display_name,
        config=provider_config_to_pb(entry.kind, entry.config),
        credential_type=wire(entry.credential_type),
        credential_version=entry.credential_version,
        labels=entry.labels,
    )


def _model(entry: ActiveProviderModel) -> routing_service_pb2.ActiveProviderModel:
    return routing_service_pb2.ActiveProviderModel(
        name=entry.name,
        provider=entry.provider,
        provider_kind=wire(entry.provider_kind),
        upstream_model_id=entry.upstream_model_id,
        kind=wire(entry.kind),
        context_window=entry.context_window,
        max_output_tokens=entry.max_output_tokens,
        embedding_dimensions=entry.embedding_dimensions,
        pricing=pricing_to_pb(entry.pricing),
        capabilities=[wire(capability) for capability in entry.capabilities],
        labels=entry.labels,
    )


def _facade(entry: ActiveModel) -> routing_service_pb2.ActiveModel:
    return routing_service_pb2.ActiveModel(
        name=entry.name,
        kind=wire(entry.kind),
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
    """The tag of a length-delimited field: number << 3 | wire type 2, one byte up to number 15."""
    return bytes([message.DESCRIPTOR.fields_by_name[field].number << 3 | 2])


_SNAPSHOT_TAG = _tag(routing_service_pb2.GetRoutingSnapshotResponse, "snapshot")
_PROVIDERS_TAG = _tag(routing_service_pb2.RoutingSnapshot, "providers")
_PROVIDER_MODELS_TAG = _tag(routing_service_pb2.RoutingSnapshot, "provider_models")
_MODELS_TAG = _tag(routing_service_pb2.RoutingSnapshot, "models")
_ACTIVE_PROVIDER_MODELS_TAG = _tag(
    routing_service_pb2.ListActiveProviderModelsResponse, "active_provider_models"
)


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
