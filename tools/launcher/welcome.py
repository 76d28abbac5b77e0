"""What `make run` prints when everything serves."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator

from tools.launcher.plan import Plan
from tools.steps import TOOLS

API = "codevector.providers.v1"
LIST_PROVIDERS = (f"{API}.ProviderService/ListProviders", "{}")
IMPORT_CATALOG = (f"{API}.ProviderService/ImportProviderModels", '{"parent": "providers/openai-prod"}')
RENAME = (
    f"{API}.ProviderService/UpdateProvider",
    '{"provider": {"name": "providers/openai-prod", "display_name": "OpenAI"}, '
    '"update_mask": {"paths": ["display_name"]}}',
)
LIST_ACTIVE = (f"{API}.RoutingService/ListActiveProviderModels", '{"page_size": 3}')

CREATE = """\
OPENAI_API_KEY=sk-made-up-0123456789abcdef
{call} -d @ {address} codevector.providers.v1.ProviderService/CreateProvider <<EOF
{{"provider_id": "openai-prod",
 "provider": {{"display_name": "OpenAI production", "kind": "PROVIDER_KIND_OPENAI"}},
 "credential": {{"api_key": {{"api_key": "$OPENAI_API_KEY"}}}}}}
EOF"""
"""By stdin, because other users of the machine see the arguments of a command."""


def text(plan: Plan) -> str:
    """The start-up text; its last line, and no other, holds `ready:`."""
    return "\n".join([*_lines(plan), f"ready: grpc=127.0.0.1:{plan.port} console={plan.console_url}"])


def _lines(plan: Plan) -> Iterator[str]:
    address = f"127.0.0.1:{plan.port}"
    call, hint = _grpcurl()
    yield "CodeVector provider service"
    yield f"  home     {plan.home}"
    yield f"  logs     {plan.logs}/kms.log, service.log and console.log"
    for role, path in plan.sockets.items():
        yield f"  {'keys' if role == 'registry' else '':<8} {role}: {path}"
    yield ""
    yield "Until identities are configured, any user of this machine is an administrator of this registry."
    yield "All roles share your account here, keys included: convenient, but not a boundary."
    yield ""
    yield f"Lines to paste{hint}; the key is made up:"
    yield ""
    yield CREATE.format(call=call, address=address)
    for method, request in (IMPORT_CATALOG, LIST_PROVIDERS, LIST_ACTIVE, RENAME):
        yield f"{call} -d {shlex.quote(request)} {address} {method}"
    yield f"{call} {address} describe {API}.ProviderService"
    yield ""
    yield f"Open {plan.console_url} in a browser to administer it."


def _grpcurl() -> tuple[str, str]:
    """How to call grpcurl here, and what to do first where it is not installed."""
    built = TOOLS / "bin" / "grpcurl"
    if shutil.which("grpcurl"):
        return "grpcurl -plaintext", ""
    if built.exists():
        return f"{shlex.quote(os.path.relpath(built))} -plaintext", ""
    return ".tools/bin/grpcurl -plaintext", " (`make test-tools` builds grpcurl)"
