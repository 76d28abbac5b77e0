"""The documentation: a reader's own gateway, pinned in the browser and nowhere else."""

from __future__ import annotations

import pytest
from playwright.sync_api import Request, expect

from tests.browser.admin import Admin
from tests.browser.conftest import Visit
from tests.support.servers.harness import Instance

PAGES = ("providers", "models", "encryption", "routing", "api")

ACCEPTED = {
    "https://gateway.example.com": ("https://gateway.example.com", "gateway.example.com:443"),
    "https://gateway.example.com/": ("https://gateway.example.com", "gateway.example.com:443"),
    "  gateway.example.com ": ("https://gateway.example.com", "gateway.example.com:443"),
    "gateway.example.com:8443": ("https://gateway.example.com:8443", "gateway.example.com:8443"),
    "GATEWAY.example.com": ("https://gateway.example.com", "gateway.example.com:443"),
    "http://10.1.2.3:8080": ("http://10.1.2.3:8080", "-plaintext 10.1.2.3:8080"),
    "http://gateway": ("http://gateway", "-plaintext gateway:80"),
    "https://[2001:db8::1]:8443": ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
}
"""What is typed, the origin that routes then have, and what grpcurl is given."""

REFUSED = (
    "",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "javascript://gateway.example.com/%0aalert(1)",
    "data:text/html,x",
    "ftp://gateway.example.com",
    "file:///etc/passwd",
    "https:gateway.example.com",
    "//gateway.example.com",
    "https://user:secret@gateway.example.com",
    "user@gateway.example.com",
    "https://gateway.example.com@evil.example",
    "https://gate way.example.com",
    'https://gateway.example.com"',
    "https://gateway.example.com'",
    "https://gateway.example.com`",
    "https://gateway.example.com\\evil.example",
    "https://<b>.example.com",
    "https://gateway.example.com/admin",
    "https://gateway.example.com?x=1",
    "https://gateway.example.com#x",
    "https://gateway_example.com",
    "https://-gateway.example.com",
    "https://gateway..example.com",
    "https://gateway.example.com:99999",
    "https://$(id).example.com",
    "https://gateway.example.com;id",
    "https://",
)


def pin(admin: Admin, text: str) -> None:
    admin.fill(admin.page.get_by_label("Your gateway URL"), text)
    admin.act("Pin")


def stored(admin: Admin) -> str | None:
    return admin.page.evaluate("localStorage.getItem('codevector.gateway')")  # type: ignore[no-any-return]


class TestPinning:
    @pytest.mark.parametrize("typed", ACCEPTED)
    def test_rewrites_every_route_and_example(self, admin: Admin, typed: str) -> None:
        origin, grpc = ACCEPTED[typed]
        admin.open("/docs/api")
        pin(admin, typed)
        expect(admin.page.get_by_role("status").filter(has_text="Pinned")).to_be_visible()
        assert stored(admin) == origin
        for name in PAGES:
            admin.open(f"/docs/{name}")
            main = admin.page.get_by_role("main")
            expect(admin.page.get_by_label("Your gateway URL")).to_have_value(origin)
            expect(main).not_to_contain_text("127.0.0.1:")
            for example in main.locator("pre").filter(has_text="grpcurl").all():
                expect(example).to_contain_text(grpc)
            routes = main.locator("a[href*='/admin/']").evaluate_all("links => links.map(link => link.href)")
            assert all(route.startswith(f"{origin}/admin/") for route in routes)

    def test_every_bad_address_is_refused_with_a_sentence(self, admin: Admin) -> None:
        admin.open("/docs/providers")
        for text in REFUSED:
            pin(admin, text)
            alert = admin.page.get_by_role("alert")
            expect(alert, text).to_contain_text("for example https://gateway.example.com")
            expect(admin.page.get_by_label("Your gateway URL")).to_have_attribute("aria-invalid", "true")
            assert stored(admin) is None, text

    @pytest.mark.parametrize("text", ["javascript:alert(1)", "https://a@b", "x'><img>", "https://a/b"])
    def test_bad_text_in_the_storage_counts_as_nothing(self, admin: Admin, text: str) -> None:
        admin.open("/docs/providers")
        admin.page.evaluate("text => localStorage.setItem('codevector.gateway', text)", text)
        admin.open("/docs/providers")
        expect(admin.page.get_by_label("Your gateway URL")).to_have_value("")
        expect(admin.page.get_by_role("button", name="Clear")).to_be_disabled()

    def test_one_click_clears_it(self, admin: Admin) -> None:
        admin.open("/docs/providers")
        before = admin.page.get_by_role("main").inner_text()
        pin(admin, "gateway.example.com")
        admin.act("Clear")
        assert stored(admin) is None
        expect(admin.page.get_by_role("status").filter(has_text="Cleared")).to_be_visible()
        expect(admin.page.get_by_label("Your gateway URL")).to_be_focused()
        after = admin.page.get_by_role("main").inner_text()
        assert (
            after.replace("Cleared. Routes and examples lead to this console again.", "").split()
            == before.split()
        )

    def test_it_is_never_sent_to_the_server(self, admin: Admin, installation: Instance) -> None:
        sent: list[Request] = []
        admin.page.on("request", lambda request: sent.append(request))
        admin.open("/docs/providers")
        pin(admin, "canary-gateway.example.com")
        for name in PAGES:
            admin.open(f"/docs/{name}")
        admin.open("/admin/providers")
        told = "".join(f"{each.url}{each.all_headers()}{each.post_data or ''}" for each in sent)
        assert len(sent) > len(PAGES)
        assert "canary-gateway" not in told
        assert installation.console is not None
        assert "canary-gateway" not in installation.console.stderr.read_text()

    def test_other_tabs_follow(self, admin: Admin) -> None:
        admin.open("/docs/providers")
        other = admin.page.context.new_page()
        other.goto("/docs/api")
        pin(admin, "gateway.example.com")
        expect(other.get_by_label("Your gateway URL")).to_have_value("https://gateway.example.com")


class TestReading:
    def test_routes_lead_to_this_console_by_default(self, admin: Admin) -> None:
        admin.open("/docs")
        for name in PAGES:
            admin.open(f"/docs/{name}")
            for route in admin.page.get_by_role("main").locator("a[href^='/']").all():
                path = route.get_attribute("href") or ""
                assert admin.page.request.get(path).status == 200, path

    def test_pages_lead_to_each_other_and_to_the_console(self, admin: Admin) -> None:
        admin.open("/admin/providers")
        admin.press(admin.page.get_by_role("link", name="Documentation"))
        for heading in ("Models and catalogs", "Encryption", "Routing", "The API"):
            admin.press(admin.page.get_by_role("navigation", name="Previous and next").get_by_text("→"))
            admin.heading(heading)
        admin.press(admin.page.get_by_role("link", name="Console", exact=True))
        admin.heading("Providers")

    def test_without_scripts_the_box_is_not_there_and_the_rest_is(self, visit: Visit) -> None:
        admin = visit(scripts=False)
        admin.open("/docs/api")
        expect(admin.page.get_by_label("Your gateway URL")).to_be_hidden()
        expect(admin.page.get_by_role("main")).to_contain_text("-plaintext 127.0.0.1:")
        expect(admin.page.get_by_role("button", name="Copy").first).to_be_hidden()

    def test_an_example_can_be_copied(self, visit: Visit) -> None:
        admin = visit(permissions=["clipboard-read", "clipboard-write"])
        admin.open("/docs/api")
        admin.press(admin.page.get_by_role("button", name="Copy: Providers of one kind"))
        expect(admin.page.get_by_role("status").filter(has_text="Copied.")).to_be_visible()
        copied = admin.page.evaluate("navigator.clipboard.readText()")
        assert copied.startswith("grpcurl -d '{")
        assert copied.endswith("ProviderService/ListProviders")
