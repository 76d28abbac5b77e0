"""What every page works with: the registry, the form that was sent, and the ways to answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

from codevector.providers.v1 import catalog_pb2, provider_service_pb2
from jinja2 import Environment
from jinja2_fragments import render_block
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.registry import CALL_SECONDS, CallRefused, Registry, is_away
from console.session import Session

if TYPE_CHECKING:
    from grpc import UnaryUnaryMultiCallable

Message = TypeVar("Message")
Answer = TypeVar("Answer")
View = Callable[["Page"], Response]

NOTICE = "codevector_notice"
AWAY = "away"
"""The element of a page that waits for the registry: once it is back, the whole page is loaded again."""
KINDS_SECONDS = 60.0
"""How long the kinds are kept: they change with the registry's release alone."""
HTTP_STATUS: Mapping[str, int] = {
    "INVALID_ARGUMENT": 422,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "FAILED_PRECONDITION": 409,
    "OUT_OF_RANGE": 422,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 503,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class Kinds:
    """What the registry says of the kinds of provider, kept for a minute."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._kept: tuple[catalog_pb2.ProviderKindInfo, ...] = ()
        self._until = 0.0

    def of(self, page: Page) -> tuple[catalog_pb2.ProviderKindInfo, ...]:
        """Return all kinds in their order."""
        if not self._kept or self._monotonic() > self._until:
            request = provider_service_pb2.ListProviderKindsRequest(page_size=1000)
            answer = page.call(page.registry.providers.ListProviderKinds, request)
            self._kept, self._until = tuple(answer.provider_kinds), self._monotonic() + KINDS_SECONDS
        return self._kept


@dataclass(frozen=True, slots=True)
class Console:
    """What one process has: the connection, the templates, the clock."""

    registry: Registry
    templates: Environment
    kinds: Kinds
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Undo:
    """A form that takes back what was just done."""

    action: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence for the next page: what was done, how to take it back, and the revision it has."""

    text: str
    undo: Undo | None = None
    revision: int = 0


class Blank(dict[str, str]):
    """Values of inputs for a template: what is not there is empty."""

    def __missing__(self, key: str) -> str:
        return ""


class Page:
    """One request on its way to a response."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.console: Console = request.app.state.console
        self.session: Session = request.state.session
        self.form: ImmutableMultiDict[str, str] = request.state.form
        self.now = self.console.now()

    @property
    def registry(self) -> Registry:
        """The registry's services."""
        return self.console.registry

    @property
    def kinds(self) -> tuple[catalog_pb2.ProviderKindInfo, ...]:
        """The kinds of provider."""
        return self.console.kinds.of(self)

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters of the address."""
        return self.request.query_params

    @property
    def target(self) -> str:
        """The id of the element that the response goes into; empty for a whole page."""
        if self.request.headers.get("hx-request") != "true":
            return ""
        return self.request.headers.get("hx-target", "").rpartition("#")[2]

    def path(self, name: str) -> str:
        """Return a part of the address, as its route names it."""
        part: str = self.request.path_params[name]
        return part

    def call(
        self,
        rpc: UnaryUnaryMultiCallable[Message, Answer],
        message: Message,
        *,
        seconds: float = CALL_SECONDS,
    ) -> Answer:
        """Call the registry in the user's name.

        Raises:
            CallRefused: the registry refused, or did not answer.
        """
        return self.registry.call(rpc, message, seconds=seconds)

    def show(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """Return the page, or the block of it that was asked for: one named like the element it goes into."""
        context.update(page=self, now=self.now)
        if self.target == AWAY and status == 200:
            return Response(status_code=204, headers={"HX-Refresh": "true"})
        environment = self.console.templates
        if self.target and self.target in environment.get_template(template).blocks:
            content = render_block(environment, template, self.target, **context)
            return HTMLResponse(content, status, headers={"vary": "HX-Request"})
        notice = self._notice()
        content = environment.get_template(template).render(notice=notice, **context)
        response = HTMLResponse(content, status, headers={"vary": "HX-Request"})
        if notice:
            response.delete_cookie(NOTICE, httponly=True, samesite="strict")
        return response

    def go(self, address: str, notice: Notice | None = None) -> Response:
        """Return the way to another page after something was done."""
        response: Response
        if self.target:
            # A redirect would be followed by fetch, and its page put into the dialog.
            response = Response(status_code=204, headers={"HX-Redirect": address})
        else:
            response = RedirectResponse(address, 303)
        if notice:
            response.set_cookie(
                NOTICE, self._packed(notice), max_age=30, path="/", httponly=True, samesite="strict"
            )
        return response

    def new_request_id(self) -> str:
        """Return an id that makes sending a form twice do its work once."""
        return str(uuid4())

    def _packed(self, notice: Notice) -> str:
        undo = notice.undo and {"action": notice.undo.action, "fields": dict(notice.undo.fields)}
        payload = json.dumps({"text": notice.text, "undo": undo, "revision": notice.revision})
        encoded = base64.urlsafe_b64encode(payload.encode()).decode()
        return f"{self.session.seal(encoded)}.{encoded}"

    def _notice(self) -> Notice | None:
        """Return the notice that the browser brings, if this session made it: ports share cookies."""
        code, _, encoded = self.request.cookies.get(NOTICE, "").partition(".")
        if not code or not self.session.owns(encoded, code):
            return None
        parts = json.loads(base64.urlsafe_b64decode(encoded))
        undo = parts["undo"] and Undo(parts["undo"]["action"], parts["undo"]["fields"])
        return Notice(parts["text"], undo, parts["revision"])


def view(function: View) -> Callable[[Request], Response]:
    """Turn a function of a page into an endpoint; a refusal that it lets through becomes a page."""

    @wraps(function)
    def endpoint(request: Request) -> Response:
        page = Page(request)
        try:
            return function(page)
        except CallRefused as refused:
            return refusal_page(page, refused)

    return endpoint


def refusal_page(page: Page, refused: CallRefused) -> Response:
    """Return the page that says what the registry refused, or that it is away."""
    refusal = refused.refusal
    status = HTTP_STATUS.get(refusal.status, 500)
    if page.target:
        return page.show("refused_part.html", status=status, refusal=refusal)
    request = page.request
    again = "/admin/providers"
    if request.method == "GET":
        again = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    template = "away.html" if is_away(refusal) else "refused.html"
    return page.show(template, status=status, refusal=refusal, address=page.registry.address, again=again)


def address(*parts: str) -> str:
    """Return the address of an admin page from its parts, each quoted."""
    return "/admin/" + "/".join(quote(part, safe="") for part in parts)
