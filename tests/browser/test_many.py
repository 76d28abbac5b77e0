"""10,000 providers, and one with 5,000 models: paged and searched by the registry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.admin import Admin
from tests.browser.conftest import Visit, url_of
from tests.support.servers.filled import fill
from tests.support.servers.harness import Instance, instance
from tests.support.servers.ports import free_port


@pytest.fixture(scope="module")
def large() -> Iterator[Instance]:
    with instance({"CODEVECTOR_CONSOLE_PORT": str(free_port())}) as made:
        fill(made.home, providers=10_000, models=5_000)
        made.start_kms()
        made.start_service()
        made.start_console()
        yield made


@pytest.fixture
def admin(visit: Visit, large: Instance) -> Admin:
    return visit(at=url_of(large))


def rows(table: Locator) -> Locator:
    return table.get_by_role("row").filter(has=table.page.get_by_role("cell"))


class TestProviders:
    def test_are_paged(self, admin: Admin) -> None:
        admin.open("/admin/providers")
        table = admin.page.get_by_role("table", name="Providers")
        expect(admin.page.get_by_text("10,001 providers")).to_be_visible()
        expect(rows(table)).to_have_count(50)
        admin.act("Next page")
        expect(table).to_contain_text("Provider 00049")
        expect(rows(table)).to_have_count(50)
        admin.act("First page")
        expect(table).to_contain_text("Large")

    def test_are_searched_while_typing(self, admin: Admin) -> None:
        admin.open("/admin/providers")
        admin.page.keyboard.press("/")
        admin.page.keyboard.type("provider 0999", delay=20)
        expect(admin.page.get_by_text("10 providers found")).to_be_visible()
        expect(admin.page.get_by_role("searchbox")).to_be_focused()
        expect(rows(admin.page.get_by_role("table"))).to_have_count(10)
        admin.page.reload()
        expect(admin.page.get_by_role("searchbox")).to_have_value("provider 0999")
        expect(rows(admin.page.get_by_role("table"))).to_have_count(10)

    def test_are_sorted(self, admin: Admin) -> None:
        admin.open("/admin/providers")
        admin.page.get_by_role("columnheader", name="Name").get_by_role("link").click()
        expect(admin.page.get_by_role("columnheader", name="Name")).to_have_attribute(
            "aria-sort", "descending"
        )
        expect(rows(admin.page.get_by_role("table")).first).to_contain_text("Provider 09999")


class TestModels:
    def test_are_paged(self, admin: Admin) -> None:
        admin.open("/admin/providers/large")
        table = admin.page.get_by_role("table", name="Provider models")
        expect(admin.page.get_by_text("5,000 models")).to_be_visible()
        expect(rows(table)).to_have_count(100)
        admin.act("Next page")
        expect(table).to_contain_text("vendor/model-00100")

    def test_are_searched_while_typing(self, admin: Admin) -> None:
        admin.open("/admin/providers/large")
        admin.page.get_by_role("searchbox", name="Search models").press_sequentially("model-0499", delay=20)
        expect(admin.page.get_by_text("10 models found")).to_be_visible()
        expect(rows(admin.page.get_by_role("table", name="Provider models"))).to_have_count(10)
