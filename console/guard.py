"""What every request passes before a page sees it, and every response on its way out.

A request is refused unless it names this host, is small, and arrives in time; one that changes something also
needs to come from a page of ours (Sec-Fetch-Site or Origin) and to bring the session's form token.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl
from uuid import uuid4

from starlette.datastructures import Headers, ImmutableMultiDict, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from console import session, telemetry

FORM_FIELD = "form_token"
BODY_BYTES = 256 << 10
"""Room for the ids of a thousand models; a Google key file takes a tenth."""
BODY_SECONDS = 10.0
FIELDS = 2000
QUERY_BYTES = 4096

_READS = frozenset({"GET", "HEAD"})
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Refused(Exception):
    """The request goes no further; ``sentence`` is all that is said of it."""

    def __init__(self, status: int, sentence: str, event: str) -> None:
        super().__init__(event)
        self.status = status
        self.sentence = sentence
        self.event = event


class Guard:
    """The outermost part of the application. Leaves ``session``, ``form`` and ``request_id`` in the state."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], log: FilteringBoundLogger) -> None:
        self._app = app
        self._hosts = hosts
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500
        headers = Headers(scope=scope)
        visitor = session.of_cookies(cookie_parser(headers.get("cookie", "")))
        request_id = str(uuid4())

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _harden(message, visitor, request_id)
            await send(message)

        scope.setdefault("state", {}).update(session=visitor, request_id=request_id)
        try:
            self._admit(scope, headers)
            form = await self._form(scope, headers, receive, visitor)
            scope["state"]["form"] = form
            session.enter(visitor)
            await self._app(scope, receive, guarded)
        except Refused as refused:
            self._log.warning(telemetry.REQUEST_REFUSED, why=refused.event, request_id=request_id)
            await PlainTextResponse(refused.sentence, refused.status)(scope, receive, guarded)
        finally:
            self._log.info(
                telemetry.PAGE_DONE,
                method=scope["method"] if scope["method"] in {*_READS, "POST"} else "other",
                route=getattr(scope.get("route"), "path", ""),
                status=status,
                milliseconds=round((time.monotonic() - began) * 1000, 1),
                request_id=request_id,
            )

    def _admit(self, scope: Scope, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            # A name that was rebound to loopback would otherwise make its page one of ours.
            raise Refused(421, "This console answers on its own address only, e.g. 127.0.0.1.", "host")
        if len(scope["query_string"]) > QUERY_BYTES:
            raise Refused(414, "The address is too long.", "query")
        if scope["method"] in _READS:
            return
        if scope["method"] != "POST":
            raise Refused(405, "Only GET and POST are used here.", "method")
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is None and origin is None:
            raise Refused(403, "The request does not say which page it comes from.", "no_origin")
        if site not in (None, "same-origin") or origin not in (None, f"http://{hosts[0].lower()}"):
            raise Refused(403, "The request comes from another site.", "origin")

    async def _form(
        self, scope: Scope, headers: Headers, receive: Receive, visitor: session.Session
    ) -> ImmutableMultiDict[str, str]:
        if scope["method"] in _READS:
            return ImmutableMultiDict()
        if headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
            raise Refused(415, "Only forms are taken here.", "content_type")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(receive)
        except TimeoutError:
            raise Refused(408, "The form took too long to arrive.", "slow") from None
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS, errors="strict")
        except ValueError:
            raise Refused(400, "The form cannot be read.", "form") from None
        form = ImmutableMultiDict(pairs)
        tokens = form.getlist(FORM_FIELD)
        if len(tokens) != 1 or not visitor.owns("form", tokens[0]):
            raise Refused(
                403, "This page is from another session: go back, reload it, and try again.", "token"
            )
        return form


async def _body(receive: Receive) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "The form did not arrive whole.", "disconnected")
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_BYTES:
            raise Refused(413, "The form is too large.", "body")
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def _harden(message: Message, visitor: session.Session, request_id: str) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in HEADERS.items():
        headers[name] = value
    headers.setdefault("cache-control", "no-store")
    if headers["cache-control"] == "no-store":
        headers["x-request-id"] = request_id
        if visitor.fresh:
            headers.append("set-cookie", session.set_cookie(visitor))
