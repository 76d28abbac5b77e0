"""The RoutingService of one registry, as a router calls it.

May see: sealed credentials, of which it trusts nothing. Must never: log a call's metadata, which may hold a
token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from codevector.providers.v1 import routing_service_pb2 as pb
from codevector.providers.v1 import routing_service_pb2_grpc as pb_grpc

from codevector_providers import _wire
from codevector_providers._channels import registry_channel
from codevector_providers.errors import (
    CredentialCorrupt,
    NoStoredCredential,
    RegistryUnavailable,
    from_rpc_error,
    from_status,
)
from codevector_providers.opening import SealedCredential

Token = Callable[[], str]
"""Returns the bearer token of the next call, so that tokens may be short-lived."""


class Registry:
    """One channel to one registry; safe to share between threads. The first call connects."""

    def __init__(
        self,
        target: str,
        *,
        deadline_seconds: float,
        channel_credentials: grpc.ChannelCredentials | None,
        token: Token | None,
        max_reconnect_seconds: float,
    ) -> None:
        self._deadline_seconds = deadline_seconds
        self._token = token
        self._channel = registry_channel(
            target,
            credentials=channel_credentials,
            with_token=token is not None,
            max_reconnect_seconds=max_reconnect_seconds,
        )
        self._stub = pb_grpc.RoutingServiceStub(self._channel)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def list_models(self, request: pb.ListActiveProviderModelsRequest) -> pb.ListActiveProviderModelsResponse:
        """Return one page. Raises ProvidersError."""
        answer: pb.ListActiveProviderModelsResponse = self._call(self._stub.ListActiveProviderModels, request)
        return answer

    def snapshot(self, request: pb.GetRoutingSnapshotRequest) -> pb.GetRoutingSnapshotResponse:
        """Return the whole table, or that it is unchanged. Raises ProvidersError."""
        answer: pb.GetRoutingSnapshotResponse = self._call(self._stub.GetRoutingSnapshot, request)
        return answer

    def sealed_credential(self, provider: str) -> SealedCredential:
        """Return the sealed credential of one provider.

        Raises:
            ProvidersError: ProviderNotFound, ProviderDisabled, NoStoredCredential, RegistryUnavailable,
                NotAllowed.
        """
        request = pb.BatchGetSealedCredentialsRequest(providers=[provider])
        answer: pb.BatchGetSealedCredentialsResponse = self._call(
            self._stub.BatchGetSealedCredentials, request
        )
        if len(answer.results) != 1:
            raise CredentialCorrupt("The registry returned the wrong number of results.")
        (result,) = answer.results
        outcome = result.WhichOneof("outcome")
        if outcome == "error":
            raise from_status(result.error, away=RegistryUnavailable)
        if outcome is None:
            raise NoStoredCredential("The registry returned no credential.", metadata={"provider": provider})
        return _wire.sealed_credential(result.sealed_credential)

    def watch(self, request: pb.WatchRoutingRequest) -> Any:
        """Return a stream of WatchRoutingResponse, to iterate and to cancel when it is no longer read."""
        return self._stub.WatchRouting(request, metadata=self._metadata())

    def report(self, request: pb.ReportAppliedRevisionRequest) -> Any:
        """Report what is applied, without waiting: return a future, which raises RpcError if it fails."""
        return self._stub.ReportAppliedRevision.future(
            request, timeout=self._deadline_seconds, metadata=self._metadata()
        )

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._deadline_seconds, metadata=self._metadata())
        except grpc.RpcError as error:
            raise from_rpc_error(error, away=RegistryUnavailable) from None

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return () if self._token is None else (("authorization", f"Bearer {self._token()}"),)
