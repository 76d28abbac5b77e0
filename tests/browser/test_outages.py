"""A registry that is slow or away, and a sidecar that is away: said in a sentence, over without a trace."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from codevector.providers.v1 import system_service_pb2
from playwright.sync_api import expect

from tests.browser.admin import Admin
from tests.browser.checks import violations
from tests.browser.conftest import Visit, new_name
from tests.support.servers.harness import Instance, wait_until

KEY = "sk-proj-0123456789abcdefghijklmnop"


@contextmanager
def frozen(installation: Instance) -> Iterator[None]:
    """The registry stands still until the block ends."""
    assert installation.service is not None
    installation.service.child.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        installation.service.child.send_signal(signal.SIGCONT)


def sidecar_is_back(installation: Instance) -> bool:
    """Return whether the registry has asked its sidecar again and got an answer."""
    request = system_service_pb2.GetEncryptionStatusRequest()
    return installation.system.GetEncryptionStatus(request).kms_healthy


def filled(admin: Admin, name: str) -> None:
    """Fill in a form, up to the button."""
    admin.choose_kind("OpenAI")
    admin.fill(admin.field("Name", exact=True), name)
    admin.fill(admin.field("API key"), KEY)


class TestSlowRegistry:
    def test_a_form_that_waits_is_sent_once(self, admin: Admin, installation: Instance) -> None:
        name = new_name("Slow")
        filled(admin, name)
        with frozen(installation):
            admin.button("Add provider").click()
            admin.button("Add provider").click(force=True)
            expect(admin.field("API key")).to_have_value("")
            expect(admin.field("Name", exact=True)).to_have_value(name)
        admin.heading(name)
        admin.open(f"/admin/providers?q={name}")
        expect(admin.page.get_by_role("table", name="Providers").get_by_role("row")).to_have_count(2)

    def test_a_search_that_waits_shows_the_last_one(self, admin: Admin, installation: Instance) -> None:
        admin.open("/admin/providers")
        search = admin.page.get_by_role("searchbox", name="Search by name")
        with frozen(installation):
            search.press_sequentially("no-such", delay=30)
            search.press_sequentially("-provider", delay=30)
        expect(admin.page.get_by_role("heading", name="No provider matches")).to_be_visible()
        expect(admin.page).to_have_url("/admin/providers?q=no-such-provider")


class TestSidecarAway:
    def test_says_so_keeps_what_was_typed_and_goes_on(self, admin: Admin, installation: Instance) -> None:
        name = new_name("No sidecar")
        installation.stop_kms()
        try:
            filled(admin, name)
            admin.press(admin.button("Add provider"))
            alert = admin.panel.get_by_role("alert")
            expect(alert).to_contain_text("sidecar")
            expect(alert).to_contain_text("enter it again")
            expect(admin.field("Name", exact=True)).to_have_value(name)
            other = admin.page.context.new_page()
            other.goto("/admin/encryption")
            expect(other.get_by_role("alert")).to_contain_text("The key sidecar does not work.")
            other.goto("/admin/providers")
            expect(other.get_by_role("heading", level=1)).to_have_text("Providers")
            other.close()
        finally:
            installation.start_kms()
        wait_until(lambda: sidecar_is_back(installation), what="the registry sees its sidecar")
        admin.fill(admin.field("API key"), KEY)
        admin.press(admin.button("Add provider"))
        admin.heading(name)


class TestRegistryAway:
    def test_pages_come_back_by_themselves(self, visit: Visit, installation: Instance) -> None:
        form, reader = visit(), visit()
        name = new_name("Away")
        filled(form, name)
        installation.stop_service()
        try:
            reader.open("/admin/providers")
            reader.heading("The registry is away")
            assert violations(reader.page) == []
            form.press(form.button("Add provider"))
            expect(form.panel.get_by_role("alert")).to_contain_text("enter it again")
            expect(form.field("Name", exact=True)).to_have_value(name)
            reader.page.goto("/docs/providers")
            reader.heading("Providers")
            reader.open("/admin/providers")
            reader.heading("The registry is away")
        finally:
            installation.start_service()
        reader.heading("Providers")
        form.fill(form.field("API key"), KEY)
        form.press(form.button("Add provider"))
        form.heading(name)
