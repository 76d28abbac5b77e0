"""The conformance program of the Python library: requests by stdin, answers by stdout, a line each."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import codevector_providers as sdk
import grpc
import httpx
from codevector.providers.v1 import routing_service_pb2 as pb
from codevector.providers.v1 import routing_service_pb2_grpc as pb_grpc
from codevector_providers.destinations import derive
from codevector_providers.errors import from_rpc_error
from codevector_providers.opening import Expected, SealedCredential, open_sealed

CALL_SECONDS = 60.0

Answer = dict[str, Any]


class Refused(Exception):
    """An answer that is not ok."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Program:
    """What is asked of it, by command."""

    def __init__(self, registry: str, kms_socket: str, *, allow_loopback_http: bool) -> None:
        self._registry = registry
        self._kms_socket = kms_socket
        self._allow_loopback_http = allow_loopback_http
        self._routing = pb_grpc.RoutingServiceStub(grpc.insecure_channel(registry))
        self._router: sdk.Router | None = None
        self._commands: Mapping[str, Callable[..., Answer]] = {
            "list": self.list,
            "start": self.start,
            "wait": self.wait,
            "table": self.table,
            "model": self.model,
            "watch": self.watch,
            "report": self.report,
            "open": self.open,
            "open_vector": open_vector,
            "check_url": self.check_url,
            "stop": self.stop,
        }

    def answer(self, line: str) -> Answer:
        """The answer to one line; an error is an answer, too."""
        request = json.loads(line)
        command = self._commands.get(request.pop("do", ""))
        if command is None:
            return {"ok": False, "reason": "UNKNOWN_COMMAND"}
        try:
            return {"ok": True, **command(**request)}
        except (sdk.ProvidersError, Refused) as error:
            return {"ok": False, "reason": error.reason}
        except grpc.RpcError as error:
            return {"ok": False, "reason": from_rpc_error(error, away=sdk.RegistryUnavailable).reason}

    @property
    def router(self) -> sdk.Router:
        if self._router is None:
            raise Refused("NOT_STARTED")
        return self._router

    def list(self, filter: str = "", page_size: int = 0) -> Answer:  # noqa: A002 - the request's word
        request = pb.ListActiveProviderModelsRequest(filter=filter, page_size=page_size)
        page = first = self._routing.ListActiveProviderModels(request, timeout=CALL_SECONDS)
        names = [model.name for model in page.active_provider_models]
        while page.next_page_token:
            request.page_token = page.next_page_token
            page = self._routing.ListActiveProviderModels(request, timeout=CALL_SECONDS)
            names += [model.name for model in page.active_provider_models]
        return {"revision": first.revision, "store_id": first.store_id, "token": first.token, "names": names}

    def start(self, watcher_id: str, bookmark_interval_ms: int) -> Answer:
        self._router = sdk.Router(
            self._registry,
            kms_socket=self._kms_socket,
            watcher_id=watcher_id,
            bookmark_seconds=bookmark_interval_ms / 1000,
            max_reconnect_seconds=0.5,
            allow_loopback_http=self._allow_loopback_http,
        )
        return {}

    def wait(self, revision: int, timeout_ms: int) -> Answer:
        if not self.router.wait_for(revision, seconds=timeout_ms / 1000):
            raise Refused("TIMEOUT")
        return {"revision": self.router.table.revision}

    def table(self) -> Answer:
        table, status = self.router.table, self.router.status()
        return {
            "revision": table.revision,
            "store_id": table.store_id,
            "token": table.token,
            "providers": sorted(table.providers),
            "provider_models": sorted(table.provider_models),
            "models": sorted(table.models),
            "backends": {
                name: [(each.provider_model, each.priority, each.weight) for each in model.backends]
                for name, model in table.models.items()
            },
            "resets": [reason.name for reason in status.resets],
            "connected": status.connected,
        }

    def model(self, name: str) -> Answer:
        found = self.router.table.provider_models.get(name)
        if found is None:
            raise sdk.ModelNotFound("not in the table")
        return {
            "upstream_model_id": found.upstream_model_id,
            "context_window": found.context_window,
            "input_price": found.pricing.input_per_million_tokens if found.pricing else None,
            "labels": dict(found.labels),
        }

    def watch(
        self,
        resume_token: str,
        resume_revision: int,
        store_id: str,
        strict_resume: bool,
        bookmark_interval_ms: int,
        messages: int,
        timeout_ms: int,
    ) -> Answer:
        request = pb.WatchRoutingRequest(
            resume_token=resume_token,
            resume_revision=resume_revision,
            store_id=store_id,
            strict_resume=strict_resume,
        )
        request.bookmark_interval.FromMilliseconds(bookmark_interval_ms)
        stream = self._routing.WatchRouting(request, timeout=timeout_ms / 1000)
        try:
            return {"events": [shown(next(stream)) for _ in range(messages)]}
        finally:
            stream.cancel()

    def report(self, token: str, revision: int, store_id: str, watcher_id: str, stopping: bool) -> Answer:
        request = pb.ReportAppliedRevisionRequest(
            token=token, revision=revision, store_id=store_id, watcher_id=watcher_id, stopping=stopping
        )
        self._routing.ReportAppliedRevision(request, timeout=CALL_SECONDS)
        return {}

    def open(self, provider: str) -> Answer:
        credential = self.router.credential(provider)
        return {
            "type": credential.type.name,
            "version": credential.version,
            "fields": digests(credential.reveal_all()),
            "destinations": [destination.item for destination in credential.destinations],
        }

    def check_url(self, provider: str, url: str) -> Answer:
        nowhere = httpx.MockTransport(lambda request: httpx.Response(204))
        with self.router.http(provider, inner=nowhere) as http:
            http.get(url)
        return {}

    def stop(self) -> Answer:
        self.router.close()
        return {}


def shown(message: pb.WatchRoutingResponse) -> Answer:
    """One message of a watch."""
    match message.WhichOneof("event"):
        case "snapshot_chunk":
            chunk = message.snapshot_chunk
            reason = pb.SnapshotChunk.Reason.Name(chunk.reason).removeprefix("REASON_")
            event: Answer = {"type": "chunk", "first": chunk.first, "last": chunk.last, "reason": reason}
        case "change_set":
            put, removed = [], []
            for change in message.change_set.changes:
                member = change.WhichOneof("change")
                if member == "removed":
                    removed.append(change.removed)
                elif member is not None:
                    put.append(getattr(change, member).name)
            event = {"type": "change_set", "put": put, "removed": removed}
        case _:
            event = {"type": "bookmark", "draining": message.bookmark.draining}
    return {**event, "revision": message.revision}


def open_vector(vector: Mapping[str, Any], changed: Mapping[str, Any]) -> Answer:
    """Open a frozen envelope, as it is or changed, without a server."""
    claims = {**vector, **changed}
    sealed = SealedCredential(
        provider_uid=claims["provider_uid"],
        kind=claims["kind"],
        type=claims["type"],
        credential_version=int(claims["credential_version"]),
        envelope=bytes.fromhex(claims["envelope"]),
        wrapped_data_key=b"",
        key_version="",
        commitment=bytes.fromhex(claims["commitment"]),
        context=bytes.fromhex(claims["context"]),
        destinations=tuple(claims["destinations"]),
    )
    kind, credential_type = sdk.ProviderKind(vector["kind"]), sdk.CredentialType(vector["type"])
    provider: Any = SimpleNamespace(kind=kind, config=vector["config"], credential_type=credential_type)
    destinations = tuple(destination.item for destination in derive(provider))
    expected = Expected(
        deployment_id=bytes.fromhex(vector["deployment_id"]),
        provider_uid=UUID(vector["provider_uid"]),
        kind=kind,
        type=credential_type,
        credential_version=int(vector["credential_version"]),
        destinations=destinations,
    )
    fields = open_sealed(sealed, expected, bytes.fromhex(vector["dek"]))
    return {"fields": digests(fields), "destinations": list(destinations)}


def digests(fields: Mapping[str, str]) -> dict[str, str]:
    """What may be shown of secrets that the other side knows."""
    return {name: sha256(value.encode()).hexdigest() for name, value in fields.items()}


def main() -> None:
    """Answer until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--kms-socket", required=True)
    parser.add_argument("--allow-loopback-http", action="store_true")
    options = parser.parse_args()
    program = Program(options.registry, options.kms_socket, allow_loopback_http=options.allow_loopback_http)
    for line in sys.stdin:
        print(json.dumps(program.answer(line)), flush=True)


if __name__ == "__main__":
    main()
