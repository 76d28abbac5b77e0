"""What `make run` prints when everything serves."""

from __future__ import annotations

from collections.abc import Iterator

from tools.launcher.plan import Plan

DEFAULT_PORT = 50051
KEY = "sk-made-up-0123456789abcdef"


def text(plan: Plan) -> str:
    """Return the start-up text; its last line, and no other, holds `ready:`."""
    return "\n".join([*_lines(plan), f"ready: grpc=127.0.0.1:{plan.port} console={plan.console_url}"])


def commands(plan: Plan) -> list[str]:
    """Return lines to paste into a shell. The key comes by stdin: others can see a command's arguments."""
    call = ".venv/bin/providerctl"
    if plan.port != DEFAULT_PORT:
        call += f" --server 127.0.0.1:{plan.port}"
    return [
        f"echo {KEY} | {call} provider create openai-prod --kind openai --credential-stdin",
        f"{call} provider import openai-prod gpt-4o gpt-4o-mini",
        f"{call} model create smart --kind chat --backend openai-prod/gpt-4o",
        f"{call} model list",
    ]


def _lines(plan: Plan) -> Iterator[str]:
    yield "CodeVector provider service"
    yield f"  home     {plan.home}"
    yield f"  logs     {plan.logs}/kms.log, service.log and console.log"
    for role, path in plan.sockets.items():
        yield f"  {'keys' if role == 'registry' else '':<8} {role}: {path}"
    yield ""
    yield "Until identities are configured, any user of this machine is an administrator of this registry."
    yield "All roles share your account here, keys included: convenient, but not a boundary."
    yield ""
    yield "Lines to paste; the key is made up:"
    yield ""
    yield from commands(plan)
    yield ""
    yield f"Open {plan.console_url} in a browser to administer it."
