"""Every page and dialog in both themes: no violation that axe knows, no sideways scrolling, focus kept."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from tests.browser.admin import Admin
from tests.browser.checks import is_too_wide, misplaced, shift, violations
from tests.browser.conftest import Visit
from tests.support.servers.api import KINDS, Api, api_key
from tests.support.servers.desk import Desk
from tests.support.servers.harness import Instance

VISIBLE_SHIFT = 0.001
"""Rounding a line that is laid out twice gives less, a row that moves gives more."""
PAGES = {
    "list": "/admin/providers",
    "nothing found": "/admin/providers?q=no-such-provider",
    "provider": "/admin/providers/stocked",
    "provider without models": "/admin/providers/bare",
    "provider model": "/admin/providers/stocked/models/gpt-4o",
    "models": "/admin/models",
    "model": "/admin/models/stocked",
    "catalogs": "/admin/catalogs",
    "catalog": "/admin/catalogs/openai",
    "retirements": "/admin/retirements?within=365",
    "routers": "/admin/routers",
    "encryption": "/admin/encryption",
    "no such provider": "/admin/providers/none",
    "no such page": "/admin/none",
    "docs: providers": "/docs/providers",
    "docs: models": "/docs/models",
    "docs: encryption": "/docs/encryption",
    "docs: routing": "/docs/routing",
    "docs: api": "/docs/api",
}


@dataclass(frozen=True)
class Dialog:
    """A page, and the link on it that opens a dialog."""

    page: str
    opener: str
    then: str = ""
    """A link in the dialog that shows another one in its place."""


PROVIDER = PAGES["provider"]
DIALOGS = {
    "kinds": Dialog("/admin/providers", "Add provider"),
    "add": Dialog("/admin/providers", "Add provider", "Amazon Bedrock"),
    "edit": Dialog(PROVIDER, "Edit"),
    "replace credential": Dialog(PROVIDER, "Replace credential"),
    "import": Dialog("/admin/providers/bare", "Import from catalog"),
    "refresh": Dialog(PROVIDER, "Refresh"),
    "custom model": Dialog(PROVIDER, "Add custom model"),
    "delete provider": Dialog(PROVIDER, "Delete"),
    "edit provider model": Dialog(PAGES["provider model"], "Edit"),
    "remove provider model": Dialog(PAGES["provider model"], "Remove"),
    "add model": Dialog("/admin/models", "Add model"),
    "add backend": Dialog(PAGES["model"], "Add backend"),
    "edit model": Dialog(PAGES["model"], "Edit"),
    "delete model": Dialog(PAGES["model"], "Delete"),
}


@pytest.fixture(scope="session", autouse=True)
def stock(installation: Instance) -> None:
    """Something to see on every page."""
    api, desk = Api(installation), Desk(installation)
    for provider_id in ("stocked", "bare"):
        api.create(
            f"Provider {provider_id}",
            kind=KINDS.PROVIDER_KIND_OPENAI,
            credential=api_key(),
            provider_id=provider_id,
        )
    disabled = api.create("A name as long as it may be " + "x" * 30, provider_id="disabled")
    api.disable(disabled)
    api.create_provider_model("providers/stocked", "gpt-4o", context_window=128_000)
    api.create_provider_model("providers/stocked", "text-embedding-3-large", context_window=8191)
    api.create_model(api.get("providers/stocked/models/gpt-4o"), model_id="stocked", display_name="Stocked")
    desk.watch("router-1")
    desk.report("router-1")


def opened(admin: Admin, dialog: Dialog) -> None:
    admin.open(dialog.page)
    admin.link(dialog.opener).first.click()
    expect(admin.panel.get_by_role("heading", level=1)).to_be_visible()
    if dialog.then:
        admin.panel.get_by_role("link").filter(has_text=dialog.then).click()
        expect(admin.panel.get_by_role("heading", level=1)).to_contain_text(dialog.then)


@pytest.mark.parametrize("name", PAGES)
def test_a_page(admin: Admin, name: str) -> None:
    admin.page.goto(PAGES[name], wait_until="networkidle")
    assert shift(admin.page) < VISIBLE_SHIFT
    assert violations(admin.page) == []
    assert not is_too_wide(admin.page)
    assert misplaced(admin.page) == []


@pytest.mark.parametrize("name", DIALOGS)
def test_a_dialog(admin: Admin, name: str) -> None:
    dialog = DIALOGS[name]
    opened(admin, dialog)
    assert admin.page.evaluate("document.activeElement.closest('dialog') !== null")
    assert violations(admin.page) == []
    assert not is_too_wide(admin.page)
    admin.page.keyboard.press("Escape")
    expect(admin.panel).to_be_hidden()
    expect(admin.link(dialog.opener).first).to_be_focused()


@pytest.mark.parametrize("path", ["/admin/providers/stocked", "/admin/models/stocked"])
def test_a_row_menu(admin: Admin, path: str) -> None:
    page = admin.page
    page.goto(path.rpartition("/")[0])
    opener = page.get_by_role(
        "link", name=f"Actions for {'Provider stocked' if 'providers' in path else 'Stocked'}"
    )
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="View")).to_be_focused()
    assert violations(page) == []
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Edit")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("link", name="Delete", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()


def test_tab_leads_past_the_navigation_first(admin: Admin) -> None:
    admin.open("/admin/providers")
    admin.page.keyboard.press("Tab")
    expect(admin.page.get_by_role("link", name="Skip to content")).to_be_focused()
    admin.page.keyboard.press("Enter")
    admin.page.keyboard.press("Tab")
    expect(admin.link("Add provider").first).to_be_focused()


def test_who_wants_no_motion_sees_none(visit: Visit) -> None:
    admin = visit(reduced_motion="reduce")
    opened(admin, DIALOGS["kinds"])
    assert admin.panel.evaluate("dialog => getComputedStyle(dialog).animationDuration") == "0s"


def test_forced_colours_keep_the_focus_visible(visit: Visit) -> None:
    admin = visit(forced_colors="active")
    admin.open("/admin/providers")
    admin.page.keyboard.press("Tab")
    width = admin.page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert width != "0px"


def test_a_first_visit_is_small(admin: Admin) -> None:
    admin.page.goto("/admin/providers/stocked", wait_until="networkidle")
    size = admin.page.evaluate(
        """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
          .reduce((sum, entry) => sum + entry.transferSize, 0)"""
    )
    assert size <= 100_000
