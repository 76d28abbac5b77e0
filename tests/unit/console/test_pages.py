"""What administrators do, as a browser without scripts does it, before a real registry."""

from __future__ import annotations

import re
from contextlib import ExitStack
from html import escape

from codevector.providers.v1 import (
    provider_model_pb2,
    provider_pb2,
    provider_service_pb2,
)

from tests.support.servers.wired import Wired, wired
from tests.unit.console.conftest import Browser, fields_of, largest_form, opened

SECRET = "sk-proj-a1b2canary-0123456789-canary"
API_KEY = "credential.api_key.api_key"


def added(browser: Browser, name: str = "OpenAI production", **more: str) -> str:
    page = browser.send(
        "/admin/providers/new",
        {"name": name, API_KEY: SECRET, **more},
        origin="/admin/providers/new?kind=openai",
    )
    assert "is added." in page
    return page


def provider(registry: Wired, name: str = "providers/openai-production") -> provider_pb2.Provider:
    return registry.providers.GetProvider(provider_service_pb2.GetProviderRequest(name=name))


class TestAdding:
    def test_the_kind_first_then_its_form(self, browser: Browser) -> None:
        kinds = re.findall(
            r'href="/admin/providers/new\?kind=([a-z-]+)"', browser.get("/admin/providers/new")
        )
        assert len(kinds) == 12
        for kind in kinds:
            form = browser.get(f"/admin/providers/new?kind={kind}")
            assert 'name="name"' in form
            assert 'name="credential.type"' in form

    def test_then_only_the_beginning_of_the_key_is_shown(self, browser: Browser, registry: Wired) -> None:
        page = added(browser)
        assert "sk-proj-a1b2…" in page
        assert "sk-proj-a1b2…" in browser.get("/admin/providers")
        assert provider(registry).credential.version == 1
        browser.get("/admin/providers/openai-production/credential")
        browser.get("/admin/providers/openai-production/edit")
        assert not [text for text in (*browser.seen, browser.log.getvalue()) if "canary" in text]

    def test_what_was_trimmed_is_said(self, browser: Browser) -> None:
        assert "Blanks around it were removed: API key." in added(browser, **{API_KEY: f"  {SECRET}\n"})

    def test_a_refused_form_keeps_what_was_typed_but_the_secret(self, browser: Browser) -> None:
        added(browser)
        page = browser.send(
            "/admin/providers/new",
            {"name": "OpenAI production", "config.base_url": "https://eu.api.openai.com/v1", API_KEY: SECRET},
            409,
            origin="/admin/providers/new?kind=openai",
        )
        assert "https://eu.api.openai.com/v1" in page
        assert "but the credential: enter it again" in page
        assert not [text for text in browser.seen if "canary" in text]

    def test_a_field_at_fault_is_named_at_the_field(self, browser: Browser) -> None:
        page = browser.send(
            "/admin/providers/new",
            {"name": "Azure", "config.endpoint": "ftp://x"},
            422,
            origin="/admin/providers/new?kind=azure",
        )
        assert re.search(r'id="f-config.endpoint"[^>]*aria-invalid="true"', page)

    def test_a_key_of_another_kind_stops_softly(self, browser: Browser, registry: Wired) -> None:
        path, origin = "/admin/providers/new", "/admin/providers/new?kind=openai"
        foreign = {"name": "OpenAI production", API_KEY: "sk-ant-api03-canary-0123456789"}
        page = browser.send(path, foreign, 422, origin=origin)
        assert "This looks like a key for Anthropic" in page
        browser.send(path, foreign | {"foreign": "1"}, origin=origin)
        assert provider(registry).HasField("credential")

    def test_sent_twice_it_is_done_once(self, browser: Browser, registry: Wired) -> None:
        form = browser.form_of("/admin/providers/new?kind=openai")
        filled = form | {"name": "OpenAI production", API_KEY: SECRET}
        for _ in range(2):
            assert "is added." in browser.post("/admin/providers/new", filled)
        listed = registry.providers.ListProviders(provider_service_pb2.ListProvidersRequest())
        assert listed.total_size == 1

    def test_names_are_text(self, browser: Browser) -> None:
        for name in ('<img src=x onerror="alert(1)">', "שלום ספק עולם", "x" * 63):
            added(browser, name, provider_id=f"p{len(name)}")
            assert escape(name) in browser.get("/admin/providers").replace("&#34;", "&quot;")
        assert "<img" not in "".join(browser.seen)


class TestEditing:
    PATH = "/admin/providers/openai-production/edit"

    def test_changes_what_was_changed(self, browser: Browser, registry: Wired) -> None:
        added(browser)
        assert "Renamed is saved." in browser.send(self.PATH, {"name": "Renamed"})
        assert provider(registry).display_name == "Renamed"
        assert "Nothing was changed." in browser.send(self.PATH, {})

    def test_two_editors(self, browser: Browser, registry: Wired) -> None:
        added(browser)
        mine = browser.form_of(self.PATH)
        browser.send(self.PATH, {"config.organization": "org-theirs"})
        page = browser.post(self.PATH, mine | {"name": "Mine"}, 409)
        assert "Somebody else changed this provider" in page
        assert "org-theirs" in page
        assert 'value="Mine"' in page
        browser.post(self.PATH, largest_form(page))
        saved = provider(registry)
        assert (saved.display_name, saved.config.openai.organization) == ("Mine", "org-theirs")

    def test_a_new_address_asks_for_the_credential(self, browser: Browser, registry: Wired) -> None:
        added(browser)
        changed = {"config.base_url": "https://eu.api.openai.com/v1"}
        page = browser.send(self.PATH, changed, 409)
        assert "Enter it again to move it to the new one" in page
        browser.post(self.PATH, largest_form(page) | {API_KEY: SECRET})
        assert provider(registry).config.openai.base_url == "https://eu.api.openai.com/v1"


class TestCredential:
    PATH = "/admin/providers/openai-production/credential"

    def test_is_replaced_by_a_form_of_its_own(self, browser: Browser, registry: Wired) -> None:
        added(browser)
        form = browser.form_of(self.PATH)
        form.pop("verify")
        page = browser.post(self.PATH, form | {API_KEY: "sk-proj-b2c3canary-9876543210"})
        assert "is replaced: version 2." in page
        assert provider(registry).credential.prefix == "sk-proj-b2c3"
        assert not [text for text in browser.seen if "canary" in text]

    def test_an_empty_one_is_refused(self, browser: Browser) -> None:
        added(browser)
        assert "Enter the new credential." in browser.send(self.PATH, {}, 422)

    def test_one_that_was_replaced_meanwhile_is_not_overwritten(self, browser: Browser) -> None:
        added(browser)
        form = browser.form_of(self.PATH)
        form.pop("verify")
        browser.post(self.PATH, form | {API_KEY: "sk-proj-b2c3canary-9876543210"})
        stale = form | {API_KEY: "sk-proj-c3d4canary-9876543210", "request_id": ""}
        browser.post(self.PATH, stale, 409)


class TestDisabling:
    def test_can_be_undone(self, browser: Browser, registry: Wired) -> None:
        added(browser)
        page = browser.send(
            "/admin/providers/openai-production/disable", {}, origin="/admin/providers/openai-production"
        )
        assert "is disabled: excluded from routing since revision" in page
        assert provider(registry).state == provider_pb2.Provider.STATE_DISABLED
        undo = re.search(r'<form method="post" action="([^"]+/enable)">.*?</form>', page, re.DOTALL)
        assert undo is not None
        browser.post(undo[1], fields_of(undo[0]))
        assert provider(registry).state == provider_pb2.Provider.STATE_ACTIVE
        assert "excluded" not in browser.get("/admin/providers"), "a notice is shown once"


class TestDeleting:
    PATH = "/admin/providers/openai-production/delete"

    def test_shows_the_cost_and_wants_the_name(self, browser: Browser, registry: Wired) -> None:
        added(browser)
        browser.send("/admin/providers/openai-production/import", {"all": "1"})
        assert "Delete provider and " in browser.get(self.PATH)
        assert "The name does not match" in browser.send(self.PATH, {"typed": "OpenAI"}, 422)
        assert "is deleted with" in browser.send(self.PATH, {"typed": "OpenAI production"})
        assert registry.providers.ListProviders(provider_service_pb2.ListProvidersRequest()).total_size == 0

    def test_another_cost_than_the_shown_one_is_shown_anew(self, browser: Browser, registry: Wired) -> None:
        added(browser)
        stale = browser.form_of(self.PATH) | {"typed": "OpenAI production"}
        browser.send("/admin/providers/openai-production/import", {"all": "1"})
        assert "has changed since you looked" in browser.post(self.PATH, stale, 409)
        assert provider(registry).model_count > 0


class TestModels:
    AT = "/admin/providers/openai-production"

    def test_are_chosen_from_the_catalog(self, browser: Browser, registry: Wired) -> None:
        added(browser)
        form = browser.form_of(f"{self.AT}/import")
        form.pop("model")
        page = browser.post(f"{self.AT}/import", {**form, "model": ["gpt-4o", "gpt-4o-mini"]})
        assert "2 models imported from catalog" in page
        assert "$2.50 / $10.00" in page
        assert "2 already there are skipped" in browser.get(f"{self.AT}/import")
        browser.get(f"{self.AT}/refresh")

    def test_are_added_edited_disabled_and_removed(self, browser: Browser, registry: Wired) -> None:
        added(browser)
        page = browser.send(
            f"{self.AT}/models/new",
            {"upstream_model_id": "ft:gpt:acme", "context_window": "128K", "input": "2.50", "output": "10"},
        )
        assert "128K" in page
        assert "$2.50 / $10.00" in page
        assert "Custom" in page
        at = f"{self.AT}/models/ft-gpt-acme"
        browser.send(f"{at}/edit", {"name": "Acme", "output": "$12.00"})
        browser.send(f"{at}/disable", {}, origin=at)
        request = provider_service_pb2.GetProviderModelRequest(
            name="providers/openai-production/models/ft-gpt-acme"
        )
        model = registry.providers.GetProviderModel(request)
        assert (model.display_name, model.pricing.output_per_million_tokens) == ("Acme", "12")
        assert model.state == provider_model_pb2.ProviderModel.STATE_DISABLED
        assert "is removed." in browser.send(f"{at}/delete", {})

    def test_a_number_that_is_none_is_named(self, browser: Browser) -> None:
        added(browser)
        page = browser.send(f"{self.AT}/models/new", {"upstream_model_id": "x", "context_window": "big"}, 422)
        assert "e.g. 128000 or 128K" in page

    def test_are_wired_to_what_users_ask_for(self, browser: Browser, registry: Wired) -> None:
        added(browser)
        browser.send(f"{self.AT}/import", {"model": ["gpt-4o", "gpt-4o-mini"]})
        named = "providers/openai-production/models/gpt-4o"
        browser.send("/admin/models/new", {"model_id": "smart", "name": "Smart", "provider_model": named})
        page = browser.send(
            "/admin/models/smart/backends", {"provider_model": f"{named}-mini", "priority": "1"}
        )
        assert page.index("gpt-4o</a>") < page.index("gpt-4o-mini</a>")
        assert "providers/openai-production" in browser.get("/admin/models")
        assert "loses its last backend" in browser.get(f"{self.AT}/delete")
        form = browser.form_of("/admin/models/smart")
        page = browser.post("/admin/models/smart/unwire", form | {"provider_model": named})
        assert "is taken out." in page
        browser.send("/admin/models/smart/edit", {"name": "Smarter", "description": "For all"})
        assert "is deleted." in browser.send("/admin/models/smart/delete", {})


class TestLooking:
    def test_search_answers_with_the_rows_alone(self, browser: Browser) -> None:
        added(browser)
        headers = {"hx-request": "true", "hx-target": "section#results"}
        rows = browser.get("/admin/providers?q=open&kind=openai&state=active&sort=-created", headers)
        assert "<html" not in rows
        assert "1 provider found" in rows
        assert "No provider matches" in browser.get("/admin/providers?q=%22nobody%27 ) AND", headers)

    def test_every_page_shows(self, browser: Browser) -> None:
        assert "No providers yet" in browser.get("/admin/providers")
        added(browser)
        browser.send("/admin/providers/openai-production/import", {"all": "1"})
        for path in (
            "/admin/providers/openai-production?q=gpt&kind=chat&state=active",
            "/admin/providers/openai-production/actions",
            "/admin/providers/openai-production/models/gpt-4o",
            "/admin/providers/openai-production/models/gpt-4o/actions",
            "/admin/models",
            "/admin/catalogs",
            "/admin/catalogs/openai",
            "/admin/catalogs/openai?compare=2026.04.15",
            "/admin/routers",
            "/admin/encryption",
            "/admin/retirements?within=365",
            "/admin/nav",
            "/admin/spread?revision=1",
        ):
            browser.get(path)

    def test_what_is_not_there_is_said(self, browser: Browser) -> None:
        for path in ("/admin/providers/nobody", "/admin/models/nobody", "/admin/nowhere"):
            assert browser.client.get(path).status_code == 404

    def test_without_the_sidecar_it_says_what_still_works(self, browser: Browser, registry: Wired) -> None:
        added(browser)
        registry.stop_kms()
        assert "credentials cannot be set until it is back" in browser.get("/admin/encryption")
        page = browser.send(
            "/admin/providers/new",
            {"name": "Another", API_KEY: SECRET},
            503,
            origin="/admin/providers/new?kind=openai",
        )
        assert 'value="Another"' in page
        assert not [text for text in browser.seen if "canary" in text]

    def test_without_the_registry_a_form_keeps_what_was_typed(self) -> None:
        with ExitStack() as ends:
            registry_ends = ExitStack()
            registry = registry_ends.enter_context(wired())
            browser = ends.enter_context(opened(registry.port))
            form = browser.form_of("/admin/providers/new?kind=openai")
            registry_ends.close()
            page = browser.post("/admin/providers/new", form | {"name": "Mine", API_KEY: SECRET}, 503)
        assert 'value="Mine"' in page
        assert form["request_id"] in page, "sent again it must not be created twice"
        assert "canary" not in page

    def test_calls_of_a_page_do_not_grow_with_its_rows(self, browser: Browser, registry: Wired) -> None:
        def calls(path: str) -> int:
            browser.get(path)
            registry.log.truncate(0)
            browser.get(path)
            return registry.log.getvalue().count("rpc_done")

        added(browser)
        few = calls("/admin/providers"), calls("/admin/providers/openai-production")
        for number in range(5):
            added(browser, f"More {number}")
        browser.send("/admin/providers/openai-production/import", {"all": "1"})
        assert (calls("/admin/providers"), calls("/admin/providers/openai-production")) == few
        assert max(few) <= 4
