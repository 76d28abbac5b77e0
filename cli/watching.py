"""``providerctl watch``: the changes that routers get, as they are committed."""

from __future__ import annotations

from collections.abc import Iterator

from codevector.providers.v1 import routing_service_pb2 as pb

from cli.messages import as_json
from cli.resources.names import short
from cli.session import Session
from cli.terminal.output import Tone
from cli.times import shown
from runtime.calls import CallRefused

_SECTIONS = ("providers", "provider_models", "models")


def watch(session: Session, *, token: str, snapshot: bool, limit: int | None) -> None:
    """Print each change until Ctrl-C, or until ``limit`` of them; a registry that is away is waited for."""
    request = pb.WatchRoutingRequest(resume_token=token)
    patience = session.patience()
    printed = 0
    while True:
        try:
            for message in session.registry.stream(session.registry.routing.WatchRouting, request):
                patience.rewarded()
                request.resume_token = message.token or request.resume_token
                for data, line, name in _shown(session, message, snapshot=snapshot):
                    session.terminal.stream(data, line, name)
                    printed += 1
                    if limit is not None and printed >= limit:
                        return
        except CallRefused as refused:
            if not refused.retryable or not patience.pause():
                raise
            session.terminal.say(f"{refused}; trying again", Tone.WARNING)


def _shown(
    session: Session, message: pb.WatchRoutingResponse, *, snapshot: bool
) -> Iterator[tuple[object, str, str]]:
    """Yield what is printed of a message: its data, its line, and the name of what changed."""
    if message.WhichOneof("event") == "snapshot_chunk":
        chunk = message.snapshot_chunk
        if snapshot:
            for section in _SECTIONS:
                for each in getattr(chunk, section):
                    yield (
                        {"revision": "0", "present": as_json(each)},
                        f"present  {short(each.name)}",
                        each.name,
                    )
        if chunk.last:
            session.terminal.say(f"watching since revision {message.revision}", Tone.QUIET)
        return
    for change in message.change_set.changes:
        which = change.WhichOneof("change") or ""
        name = change.removed if which == "removed" else getattr(change, which).name
        data = {
            "revision": str(message.revision),
            "token": message.token,
            "commitTime": as_json(message.change_set)["commitTime"],
            **({"removed": name} if which == "removed" else {which: as_json(getattr(change, which))}),
        }
        act = "removed" if which == "removed" else "changed"
        when = shown(message.change_set.commit_time)
        yield data, f"{message.revision}  {when}  {act}  {short(name)}", name
