"""The same work at a shell: what a page shows or does, as providerctl and as grpcurl, without any secret."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from codevector.providers.v1 import catalog_pb2, provider_pb2
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from console import views
from console.forms.kinds import SECRETS, config_of

API = "codevector.providers.v1"
Commands = tuple[tuple[str, str], ...]


def grpcurl(server: str, method: str, request: Message | Mapping[str, Any]) -> str:
    """Return a call; ``method`` is e.g. ``ProviderService/ListProviders``."""
    body = (
        MessageToDict(request, preserving_proto_field_name=True) if isinstance(request, Message) else request
    )
    text = json.dumps(body, ensure_ascii=False)
    return f"grpcurl -plaintext -d {shlex.quote(text)} {server} {API}.{method}"


def commands(server: str, providerctl: str, method: str, request: Message | Mapping[str, Any]) -> Commands:
    """Return one act in both ways."""
    return (("providerctl", f"providerctl {providerctl}"), ("grpcurl", grpcurl(server, method, request)))


def create_provider(server: str, info: catalog_pb2.ProviderKindInfo, values: Mapping[str, str]) -> Commands:
    """Return the creation of a provider; the secret comes by stdin, since a machine's users see arguments."""
    name = values.get("name", "").strip() or "My provider"
    config, _ = config_of(info, values)
    provider = provider_pb2.Provider(display_name=name, kind=info.kind, config=config)
    body: dict[str, Any] = {"provider": MessageToDict(provider, preserving_proto_field_name=True)}
    form = next(iter(info.credential_forms), None)
    if form is not None:
        body["credential"] = {
            form.field: {field.field: "…" if field.control in SECRETS else "" for field in form.fields}
        }
    text = json.dumps(body, ensure_ascii=False, indent=1)
    return (
        (
            "providerctl",
            f"providerctl provider create --kind {views.slug(info.kind)} --display-name {shlex.quote(name)}",
        ),
        (
            "grpcurl",
            f"grpcurl -plaintext -d @ {server} {API}.ProviderService/CreateProvider <<EOF\n{text}\nEOF",
        ),
    )
