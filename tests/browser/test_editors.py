"""Two administrators at one provider: the second is told what changed, and keeps what was typed."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visit, new_name
from tests.support.servers.api import KINDS, Api, api_key
from tests.support.servers.harness import Instance

OPENAI = KINDS.PROVIDER_KIND_OPENAI


def test_the_second_is_told_what_the_first_changed(visit: Visit, installation: Instance) -> None:
    provider = Api(installation).create(new_name("Shared"), kind=OPENAI, credential=api_key())
    path = f"/admin/{provider.name}"
    first, second = visit(), visit()
    for editor in (first, second):
        editor.open(path)
        editor.act("Edit")
        editor.unfold("Advanced")
    first.fill(first.field("Organization"), "org-first")
    first.press(first.button("Save"))
    first.told("is saved")
    second.fill(second.field("Organization"), "org-second")
    second.fill(second.field("Project"), "proj_second")
    second.press(second.button("Save"))
    expect(second.panel.get_by_role("alert")).to_contain_text("Somebody else changed this provider")
    changes = second.panel.get_by_role("table", name="What changed meanwhile")
    for text in ("Organization", "org-first", "org-second", "replaces it"):
        expect(changes).to_contain_text(text)
    expect(second.field("Project")).to_have_value("proj_second")
    second.press(second.button("Save"))
    second.told("is saved")


def test_a_deletion_that_costs_more_by_now_is_shown_again(visit: Visit, installation: Instance) -> None:
    api = Api(installation)
    provider = api.create(new_name("Shared"), kind=OPENAI, credential=api_key())
    admin = visit()
    admin.open(f"/admin/{provider.name}")
    admin.act("Delete")
    admin.fill(admin.field("to confirm"), provider.display_name)
    api.create_provider_model(provider.name)
    admin.press(admin.button("Delete provider"))
    expect(admin.panel.get_by_role("alert")).to_contain_text("has changed since you looked")
    admin.fill(admin.field("to confirm"), provider.display_name)
    admin.press(admin.panel.get_by_role("button", name="Delete provider and"))
    admin.told("is deleted with")
