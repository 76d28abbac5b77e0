"""A credential goes in and never comes out: not by the network, the browser's storage, memory or a log."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field

from playwright.sync_api import CDPSession, ConsoleMessage, Error, Page, Request, Response, expect

from tests.browser.admin import Admin
from tests.browser.conftest import Visit, new_name
from tests.support.doubles.keyed_upstreams import KeyedUpstreams
from tests.support.servers.harness import Instance
from tests.support.values.canaries import Canaries

FORMS = ("/admin/providers/new", "/admin/providers/test", "/credential", "/credential/test")
"""Where the paths of requests end that carry a credential."""


@dataclass
class Record:
    """All that a page sent, received and said."""

    sent: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on("requestfinished", self._finished)
        page.on("console", self._console)

    def _finished(self, request: Request) -> None:
        body = request.post_data or ""
        if request.method == "POST" and request.url.endswith(FORMS):
            body = ""
        self.sent.append(f"{request.url}{request.all_headers()}{body}")
        response = request.response()
        if response is not None:
            self.received.append(f"{response.all_headers()}{_body(response)!r}")

    def _console(self, message: ConsoleMessage) -> None:
        self.said.append(message.text)


def _body(response: Response) -> bytes:
    """Return what came; nothing of a redirect, nor of what the next navigation has swept away."""
    if 300 <= response.status < 400 or response.status == 204:
        return b""
    try:
        return response.body()
    except Error:
        return b""


def heap(session: CDPSession) -> str:
    """Everything in the page's memory after a collection, as a snapshot writes it."""
    parts: list[str] = []
    session.on("HeapProfiler.addHeapSnapshotChunk", lambda event: parts.append(event["chunk"]))
    session.send("HeapProfiler.enable")
    session.send("HeapProfiler.collectGarbage")
    session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    return "".join(parts)


def paste(admin: Admin, key: str) -> None:
    """Insert a key as the clipboard does; ``fill`` would leave a copy in a script of its own."""
    admin.field("API key").focus()
    admin.page.keyboard.insert_text(key)


def kept(page: Page) -> str:
    """What the browser keeps: storages, cookies, caches."""
    return json.dumps(
        [
            page.evaluate("({...localStorage, ...sessionStorage})"),
            page.evaluate("caches.keys()"),
            page.evaluate("indexedDB.databases()"),
            page.context.storage_state(),
        ],
        default=str,
    )


def test_canaries_are_nowhere(visit: Visit, upstreams: KeyedUpstreams, installation: Instance) -> None:
    record, name, canaries = Record(), new_name("Canary"), Canaries(random.Random(random.getrandbits(64)))
    admin = visit(traced=False)  # a trace keeps in the page what is typed there
    page = admin.page
    record.follow(page)
    session = page.context.new_cdp_session(page)

    admin.choose_kind("OpenAI")
    paste(admin, canaries.api_key())
    admin.unfold("Advanced")
    admin.fill(admin.field("Base URL"), upstreams.url("openai"))
    admin.press(admin.button("Test key"))
    expect(admin.panel).to_contain_text("rejects the credential")
    admin.press(admin.button("Add provider"))
    expect(admin.panel.get_by_role("alert")).to_contain_text("enter it again")
    expect(admin.field("API key")).to_have_value("")
    assert canaries.hits("heap", heap(session).encode()) == []
    assert canaries.hits("page", page.content().encode()) == []

    admin.fill(admin.field("Name", exact=True), name)
    paste(admin, canaries.api_key())
    admin.press(admin.button("Add provider"))
    admin.heading(name)
    assert canaries.hits("heap", heap(session).encode()) == []
    admin.act("Replace credential")
    paste(admin, canaries.api_key())
    admin.press(admin.button("Replace credential"))
    expect(admin.panel.get_by_role("alert")).to_contain_text("rejects")
    paste(admin, canaries.api_key())
    admin.uncheck(admin.field("Ask the upstream first"))
    admin.press(admin.button("Replace credential"))
    admin.told("version 2")
    for path in (f"/admin/providers?q={name}", "/admin/encryption"):
        admin.open(path)
    # Not page.go_back(), which fails where the page it leaves is still fetching something.
    page.evaluate("history.back()")
    page.wait_for_url("**/admin/providers?q=*")
    page.evaluate("history.back()")
    admin.heading(name)

    assert canaries.hits("heap", heap(session).encode()) == []
    history = session.send("Page.getNavigationHistory")
    assert canaries.hits("history", json.dumps(history).encode()) == []
    assert canaries.hits("storage", kept(page).encode()) == []
    for what, texts in (("sent", record.sent), ("received", record.received), ("said", record.said)):
        assert canaries.hits(what, "".join(texts).encode()) == []
    assert len(record.received) > 20
    assert canaries.hits_under(installation.home) == []
