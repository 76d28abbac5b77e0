"""The router's client of its own key sidecar, over the router's Unix socket.

May see: one data key, on the way to the opener, which wipes it. Must never: print a message of these RPCs
(protobuf shows the secret in it) or keep a key.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from codevector.kms.v1 import key_management_service_pb2_grpc as kms_grpc

from codevector_providers._channels import LOCAL_OPTIONS
from codevector_providers.errors import CredentialCorrupt, KmsUnavailable, from_rpc_error, from_status
from codevector_providers.opening import SealedCredential


class RouterKms:
    """One channel to one sidecar; safe to share between threads."""

    def __init__(self, socket: Path, *, deadline_seconds: float) -> None:
        if "," in str(socket.absolute()):
            raise ValueError("kms_socket must not have a comma in its path: gRPC takes it for two addresses")
        self._deadline_seconds = deadline_seconds
        # gRPC reads a target as a URI, in which "#", "?" and "%" mean something.
        target = f"unix:{quote(os.fsencode(socket.absolute()))}"
        self._channel = grpc.insecure_channel(target, options=LOCAL_OPTIONS)
        self._stub = kms_grpc.KeyManagementServiceStub(self._channel)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def deployment_id(self) -> bytes:
        """Return the id of the deployment whose credentials this sidecar opens, 16 bytes.

        Raises:
            ProvidersError: KmsUnavailable, or the sidecar's error.
        """
        try:
            status = self._stub.GetStatus(kms_pb2.GetStatusRequest(), timeout=self._deadline_seconds)
        except grpc.RpcError as error:
            raise from_rpc_error(error, away=KmsUnavailable) from None
        try:
            return bytes.fromhex(status.deployment_id)
        except ValueError:
            raise KmsUnavailable(
                "The key sidecar reports no valid deployment id: check its version."
            ) from None

    def unwrap(self, sealed: SealedCredential) -> bytearray:
        """Return the data key, 32 bytes, for the caller to wipe.

        Raises:
            ProvidersError: KmsUnavailable, KeyVersionUnavailable, CredentialCorrupt, NotAllowed.
        """
        wrapped = kms_pb2.WrappedDataKey(
            wrapped_data_key=sealed.wrapped_data_key,
            key_version=sealed.key_version,
            commitment=sealed.commitment,
            context=sealed.context,
        )
        request = kms_pb2.BatchUnwrapDataKeysRequest(items=[kms_pb2.UnwrapItem(wrapped=wrapped)])
        try:
            answer = self._stub.BatchUnwrapDataKeys(request, timeout=self._deadline_seconds)
        except grpc.RpcError as error:
            raise from_rpc_error(error, away=KmsUnavailable) from None
        if len(answer.results) != 1:
            raise CredentialCorrupt("The key sidecar returned the wrong number of results.")
        (result,) = answer.results
        if result.WhichOneof("outcome") == "error":
            raise from_status(result.error, away=KmsUnavailable)
        return bytearray(result.plaintext)
