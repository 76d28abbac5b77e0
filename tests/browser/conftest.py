"""One installation, one Chromium and a new profile for each test; what a test that failed saw is kept."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, expect, sync_playwright

from tests.browser.admin import Admin, KeyboardAdmin
from tests.support.doubles.keyed_upstreams import KeyedUpstreams
from tests.support.doubles.keyed_upstreams import serving as upstreams_serving
from tests.support.servers.harness import Instance, running
from tests.support.servers.ports import free_port
from tests.support.toolchains import skip_without
from tools import chromium
from tools.steps import TOOLS

KEPT = TOOLS / "browser"
"""Where traces and screenshots of failures are."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS = 60.0
"""How long an expectation may take to come true on a busy machine."""

_EXPECTED_MESSAGE = re.compile(r"Failed to load resource: the server responded with a status of")
"""What Chromium says of every refused form."""

_names = itertools.count(1)
_contexts: dict[str, list[BrowserContext]] = {}


def new_name(beginning: str) -> str:
    """A name of a provider or model that no other test has."""
    return f"{beginning} {next(_names)}"


@pytest.fixture(scope="session")
def program() -> Path:
    """Chromium."""
    skip_without("chromium")
    return chromium.provide()


@pytest.fixture(scope="module")
def engine(program: Path) -> Iterator[Browser]:
    """Chromium, while its tests run and no longer: its event loop is in the way of ``asyncio.run``."""
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def installation(program: Path) -> Iterator[Instance]:
    """A sidecar, a registry that may call upstreams on this machine, and a console before it."""
    settings = {"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1", "CODEVECTOR_CONSOLE_PORT": str(free_port())}
    with running(settings) as made:
        made.start_console()
        yield made


@pytest.fixture(scope="session")
def upstreams() -> Iterator[KeyedUpstreams]:
    with upstreams_serving() as made:
        yield made


Visit = Callable[..., Admin]


@pytest.fixture
def visit(engine: Browser, installation: Instance, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Return administrators, each with a browser profile of their own.

    Afterwards: no page has run into an error or a broken rule of its security policy, and none has asked
    another host for anything.
    """
    opened = _contexts[request.node.nodeid] = []
    wrong: list[str] = []
    home = url_of(installation)

    def new(
        *,
        at: str = home,
        scripts: bool = True,
        keyboard: bool = False,
        width: int = 1280,
        height: int = 900,
        traced: bool = True,
        **options: Any,
    ) -> Admin:
        context = engine.new_context(
            base_url=at,
            java_script_enabled=scripts,
            viewport={"width": width, "height": height},
            **options,
        )
        context.set_default_timeout(SECONDS * 1000)
        if traced:
            context.tracing.start(snapshots=True)
        opened.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
        page.on("console", lambda message: wrong.extend(_complaints(message)))
        page.on("request", lambda asked: wrong.extend(_strangers(asked.url, at)))
        return (KeyboardAdmin if keyboard else Admin)(page, scripts=scripts)

    yield new
    for context in _contexts.pop(request.node.nodeid):
        context.close()
    assert wrong == []


def _complaints(message: ConsoleMessage) -> list[str]:
    bad = message.type in ("error", "warning") and not _EXPECTED_MESSAGE.match(message.text)
    return [f"{message.location}: {message.text}"] if bad else []


def _strangers(url: str, home: str) -> list[str]:
    return [] if url.startswith((home, "data:")) else [f"asked another host: {url}"]


@pytest.fixture
def admin(visit: Visit) -> Admin:
    """One administrator at a desk."""
    return visit()


def url_of(installation: Instance) -> str:
    """Return where the console of an installation serves."""
    return f"http://127.0.0.1:{installation.environment['CODEVECTOR_CONSOLE_PORT']}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Keep the trace and the screenshots of a test that failed, and say where."""
    report = yield
    if report.when == "call" and report.failed:
        for number, context in enumerate(_contexts.get(item.nodeid, ())):
            report.sections.append(("browser", f"kept in {_keep(context, item.name, number)}"))
    return report


def _keep(context: BrowserContext, test: str, number: int) -> Path:
    folder = KEPT / f"{re.sub(r'[^A-Za-z0-9]+', '-', test)}-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    for index, page in enumerate(context.pages):
        _shoot(page, folder / f"page-{index}.png")
    with suppress(Error):  # one that was not traced
        context.tracing.stop(path=folder / "trace.zip")
    return folder


def _shoot(page: Page, path: Path) -> None:
    page.screenshot(path=path)
