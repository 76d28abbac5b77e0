"""One call and its response: the whole body in memory, within the limits of time and size.

May see: authorised requests. Must never: keep one, or let one into an exception. Answers are read and thrown
away; what people see are the fixed texts of outcome.py.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import httpx

from upstreams.guard import MAX_ANSWER_BYTES, Guard, Obstacle, Unreached

CALL_SECONDS: Final = 15.0

_KEPT_HEADERS = ("content-type", "x-amzn-errortype")
_OWN_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "codevector-provider-service",
}
_ANY_ZLIB: Final = 47
"""What zlib calls: 32 KiB window, gzip or zlib header by what is there."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request. Its parameters are part of the URL; only the method and the URL are ever printed."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def with_headers(self, headers: Mapping[str, str]) -> Call:
        """Return the call with more headers, which replace those of the same name regardless of case."""
        names = {name.lower() for name in headers}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in names}
        return Call(self.method, self.url, {**kept, **headers}, self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of at most 5 MiB. Its content is an upstream's text: judged, never shown."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def document(self) -> Any:
        """Return the JSON value of the body; None where it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class Exchange:
    """Calls one upstream, with its connections kept between calls. A context manager, for one thread."""

    def __init__(self, guard: Guard, *, seconds: float) -> None:
        """All calls together may take ``seconds``, and each of them 15."""
        self._transport = guard.transport(seconds=seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._transport.close()

    def send(self, call: Call) -> Answer:
        """Return the response, whatever its status. Redirects are responses like any other.

        Raises:
            Unreached: no answer, or one that is too large or not readable.
        """
        self._transport.deadline.begin_call(CALL_SECONDS)
        headers = Call("", "", _OWN_HEADERS).with_headers(call.headers).headers
        request = httpx.Request(call.method, call.url, headers=headers, content=call.body or None)
        response = self._transport.handle_request(request)
        try:
            body = _body(response)
        finally:
            response.close()
        kept = {name: response.headers[name][:256] for name in _KEPT_HEADERS if name in response.headers}
        return Answer(response.status_code, kept, body)


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """Return the URL with a query, in the one encoding that request signers and servers agree on."""
    return f"{url}?{urlencode(parameters, quote_via=quote, safe='-_.~')}" if parameters else url


def form(parameters: Mapping[str, str]) -> bytes:
    """Return a body of type application/x-www-form-urlencoded."""
    return urlencode(parameters).encode("ascii")


def _body(response: httpx.Response) -> bytes:
    """Return the body, decoded if the server compressed it anyway; the limit holds before and after."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return b"".join(response.iter_raw())
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Unreached(Obstacle.GARBLED)
    decoder = zlib.decompressobj(_ANY_ZLIB)
    body = bytearray()
    garbled = False
    for chunk in response.iter_raw():
        try:
            body += decoder.decompress(chunk, MAX_ANSWER_BYTES + 1 - len(body))
        except zlib.error:
            garbled = True
        if garbled:
            raise Unreached(Obstacle.GARBLED)
        if len(body) > MAX_ANSWER_BYTES:
            raise Unreached(Obstacle.TOO_LARGE)
    return bytes(body)
