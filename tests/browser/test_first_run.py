"""An installation with nothing in it: three steps lead to a model that routes, and are gone then."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.checks import is_too_wide, violations
from tests.browser.conftest import Visit, url_of
from tests.support.servers.harness import Instance, running
from tests.support.servers.ports import free_port


@pytest.fixture
def fresh() -> Iterator[Instance]:
    with running({"CODEVECTOR_CONSOLE_PORT": str(free_port())}) as made:
        made.start_console()
        yield made


def test_three_steps(visit: Visit, fresh: Instance) -> None:
    admin = visit(at=url_of(fresh))
    admin.open("/")
    steps = admin.page.get_by_role("list", name="First steps")
    expect(steps.get_by_role("listitem")).to_have_count(3)
    for path in ("providers", "models", "routers", "retirements", "encryption", "catalogs"):
        admin.open(f"/admin/{path}")
        assert violations(admin.page) == []
    admin.page.set_viewport_size({"width": 1280, "height": 900})

    admin.choose_kind("OpenAI")
    admin.fill(admin.field("Name", exact=True), "First")
    admin.fill(admin.field("API key"), "sk-proj-0123456789abcdefghijklmnop")
    admin.press(admin.button("Add provider"))
    admin.heading("First")
    admin.open("/admin/providers")
    admin.press(steps.get_by_role("link", name="Import from the catalog"))
    admin.press(admin.button(re.compile("^Import all")))
    admin.told("models imported")
    admin.open("/admin/providers")
    admin.press(steps.get_by_role("link", name="Name what users ask for"))
    admin.fill(admin.field("Name callers send"), "smart")
    admin.fill(admin.field("First backend"), "providers/first/models/gpt-4o")
    admin.press(admin.button("Add model"))
    admin.heading("smart")
    admin.open("/admin/providers")
    expect(steps).to_have_count(0)
    assert not is_too_wide(admin.page)
