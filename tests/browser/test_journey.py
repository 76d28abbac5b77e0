"""From the first provider to its deletion: by mouse, without scripts, by keyboard alone, and on a phone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.admin import Admin
from tests.browser.conftest import Visit, new_name
from tests.support.doubles.keyed_upstreams import API_KEY, WRONG_KEY, KeyedUpstreams

NEW_KEY = API_KEY[:-1] + "4"
WAYS: dict[str, dict[str, Any]] = {
    "mouse": {},
    "no scripts": {"scripts": False},
    "keyboard": {"keyboard": True},
    "phone": {"width": 390, "height": 844, "has_touch": True, "is_mobile": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_from_the_first_provider_to_its_deletion(visit: Visit, upstreams: KeyedUpstreams, way: str) -> None:
    admin, name = visit(**WAYS[way]), new_name("Journey")
    add(admin, name, upstreams)
    import_models(admin)
    add_custom_model(admin)
    edit(admin, name)
    disable_undo_enable(admin, name)
    replace_credential(admin)
    model = wire(admin, name)
    delete(admin, name, model)


def add(admin: Admin, name: str, upstreams: KeyedUpstreams) -> None:
    admin.choose_kind("OpenAI")
    admin.fill(admin.field("Name", exact=True), name)
    admin.fill(admin.field("API key"), WRONG_KEY)
    admin.unfold("Advanced")
    admin.fill(admin.field("Base URL"), upstreams.url("openai"))
    admin.press(admin.button("Test key"))
    expect(admin.panel).to_contain_text("rejects the credential")
    admin.fill(admin.field("API key"), API_KEY)
    admin.press(admin.button("Test key"))
    expect(admin.panel).to_contain_text("accepts the credential")
    if not admin.scripts:
        expect(admin.panel).to_contain_text("Enter the credential again")
        admin.fill(admin.field("API key"), API_KEY)
    admin.press(admin.button("Add provider"))
    admin.heading(name)
    admin.told("is added")
    expect(admin.page.get_by_role("main")).to_contain_text("sk-cana…")


def import_models(admin: Admin) -> None:
    admin.press(admin.link("Import from catalog").first)
    expect(admin.panel.get_by_role("heading", level=1)).to_contain_text("Import from catalog")
    if admin.scripts:
        admin.uncheck(admin.field("All shown"))
        admin.fill(admin.field("Search these models"), "gpt-4o-mini")
        expect(admin.panel.get_by_role("checkbox", name="gpt-4.1", exact=True)).to_be_hidden()
        admin.check(admin.panel.get_by_role("checkbox", name="gpt-4o-mini", exact=True))
        admin.press(admin.button(re.compile("^Import chosen")))
        admin.told("1 model imported")
        admin.press(admin.link("Import from catalog").first)
    admin.press(admin.button(re.compile("^Import all")))
    admin.told("models imported from catalog")
    expect(admin.page.get_by_role("table", name="Provider models")).to_contain_text("gpt-4o-mini")


def add_custom_model(admin: Admin) -> None:
    admin.act("Add custom model")
    values = {
        "Upstream model id": "ft:gpt-4o:acme",
        "Context window": "128K",
        "Input": "2.50",
        "Output": "10",
    }
    for label, text in values.items():
        admin.fill(admin.panel.get_by_label(re.compile(f"^{label}")), text)
    admin.press(admin.button("Add model"))
    admin.told("ft:gpt-4o:acme is added")
    row = admin.page.get_by_role("row").filter(has_text="ft:gpt-4o:acme")
    for text in ("128K", "$2.50 / $10.00", "Custom"):
        expect(row).to_contain_text(text)


def edit(admin: Admin, name: str) -> None:
    admin.act("Edit")
    admin.unfold("Advanced")
    admin.fill(admin.field("Organization"), "org-acme")
    admin.press(admin.button("Save"))
    admin.told(f"{name} is saved")


def disable_undo_enable(admin: Admin, name: str) -> None:
    admin.act("Disable")
    admin.told("excluded from routing since revision")
    admin.act("Undo")
    admin.told(f"{name} is active again")
    admin.act("Disable")
    admin.told(f"{name} is disabled")
    admin.act("Enable")
    admin.told(f"{name} is active again")


def replace_credential(admin: Admin) -> None:
    admin.act("Replace credential")
    expect(admin.field("API key")).to_have_value("")
    admin.fill(admin.field("API key"), WRONG_KEY)
    admin.press(admin.button("Replace credential"))
    expect(admin.panel.get_by_role("alert")).to_contain_text("rejects the credential")
    expect(admin.field("API key")).to_have_value("")
    admin.fill(admin.field("API key"), API_KEY)
    admin.press(admin.button("Replace credential"))
    admin.told("version 2")


def wire(admin: Admin, name: str) -> str:
    model, provider = name.lower().replace(" ", "-"), name.lower().replace(" ", "-")
    admin.open("/admin/models")
    admin.press(admin.link("Add model").first)
    admin.fill(admin.field("Name callers send"), model)
    admin.fill(admin.field("First backend"), f"providers/{provider}/models/gpt-4o")
    admin.press(admin.button("Add model"))
    admin.heading(model)
    expect(admin.page.get_by_role("table")).to_contain_text("gpt-4o")
    return model


def delete(admin: Admin, name: str, model: str) -> None:
    admin.open("/admin/providers")
    admin.press(admin.page.get_by_role("link", name=f"Actions for {name}", exact=True))
    admin.press(admin.page.get_by_role("link", name="Delete", exact=True))
    expect(admin.panel.get_by_role("heading", level=1)).to_contain_text(name)
    expect(admin.panel).to_contain_text("1 user-facing model stops working")
    expect(admin.panel.get_by_role("link", name=model)).to_be_visible()
    expect(admin.panel).to_contain_text("loses its last backend")
    admin.fill(admin.field("to confirm"), "another name")
    admin.press(admin.button(re.compile("^Delete provider and")))
    expect(admin.panel.get_by_role("alert")).to_contain_text("does not match")
    admin.fill(admin.field("to confirm"), name)
    admin.press(admin.button(re.compile("^Delete provider and")))
    admin.heading("Providers")
    admin.told(f"{name} is deleted with")
    expect(admin.page.get_by_role("link", name=name, exact=True)).to_have_count(0)
