"""What reaches a page: requests of this host and this session, small and in time; nothing else does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.routing import Route

from console.guard import BODY_BYTES, HEADERS
from console.pages.routes import ROUTES
from console.session import COOKIE, Session
from tests.unit.console.conftest import ORIGIN, SAME_ORIGIN, Browser, opened

ACTS = sorted(route.path for route in ROUTES if isinstance(route, Route) and "POST" in (route.methods or ()))
NOBODY = 1
"""A port that no registry is at: what is refused here never gets that far."""


@pytest.fixture
def lonely() -> Iterator[Browser]:
    with opened(NOBODY) as browser:
        yield browser


def token(browser: Browser) -> str:
    response = browser.client.get("/admin/nowhere")
    assert response.status_code == 404
    return Session(browser.client.cookies[COOKIE], fresh=False).form_token


class TestEveryForm:
    @pytest.mark.parametrize("path", ACTS)
    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
            {"origin": ORIGIN, "sec-fetch-site": "same-site"},
            {"origin": ORIGIN, "sec-fetch-site": "none"},
            {"origin": "null", "sec-fetch-site": "same-origin"},
            {"origin": "http://127.0.0.1:9"},
            {},
        ],
        ids=["another site", "same site", "no page", "opaque", "another port", "nothing told"],
    )
    def test_is_refused_from_elsewhere(self, lonely: Browser, path: str, headers: dict[str, str]) -> None:
        response = lonely.client.post(path, data={"form_token": token(lonely)}, headers=headers)
        assert response.status_code == 403

    @pytest.mark.parametrize("path", ACTS)
    def test_is_refused_without_the_token_of_the_session(self, lonely: Browser, path: str) -> None:
        right = token(lonely)
        for data in (
            {"name": "x"},
            {"form_token": ""},
            {"form_token": right[::-1]},
            {"form_token": [right, right]},
        ):
            response = lonely.client.post(path, data=data, headers=SAME_ORIGIN)
            assert response.status_code == 403, data
        lonely.client.cookies.clear()
        assert lonely.client.post(path, data={"form_token": right}, headers=SAME_ORIGIN).status_code == 403


class TestRequests:
    @pytest.mark.parametrize(
        "host", ["rebound.example", "127.0.0.1", "127.0.0.1:81", "127.0.0.1:8080.evil.example", ""]
    )
    def test_of_another_host_are_refused(self, lonely: Browser, host: str) -> None:
        assert lonely.client.get("/admin/nowhere", headers={"host": host}).status_code == 421

    @pytest.mark.parametrize("host", ["localhost:8080", "LOCALHOST:8080", "[::1]:8080"])
    def test_of_this_machine_by_another_name_are_not(self, lonely: Browser, host: str) -> None:
        assert lonely.client.get("/admin/nowhere", headers={"host": host}).status_code == 404

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "QUERY"])
    def test_know_two_methods(self, lonely: Browser, method: str) -> None:
        assert lonely.client.request(method, "/admin/providers", headers=SAME_ORIGIN).status_code == 405

    def test_that_are_too_large_are_refused(self, lonely: Browser) -> None:
        data = {"form_token": token(lonely), "name": "x" * BODY_BYTES}
        response = lonely.client.post("/admin/providers/new", data=data, headers=SAME_ORIGIN)
        assert response.status_code == 413
        fields = {"form_token": token(lonely)} | {f"f{number}": "" for number in range(2001)}
        assert lonely.client.post("/admin/providers/new", data=fields, headers=SAME_ORIGIN).status_code == 400
        assert lonely.client.get("/admin/providers?q=" + "x" * 5000).status_code == 414

    def test_that_are_no_forms_are_refused(self, lonely: Browser) -> None:
        response = lonely.client.post("/admin/providers/new", json={"form_token": "x"}, headers=SAME_ORIGIN)
        assert response.status_code == 415


class TestResponses:
    def test_carry_what_keeps_a_page_alone(self, lonely: Browser) -> None:
        for path in ("/admin/nowhere", "/admin/providers"):
            headers = lonely.client.get(path).headers
            assert {name: headers[name] for name in HEADERS} == dict(HEADERS)
            assert headers["cache-control"] == "no-store"
            assert "unsafe" not in headers["content-security-policy"]

    def test_set_a_cookie_that_scripts_do_not_see(self, lonely: Browser) -> None:
        first = lonely.client.get("/admin/nowhere")
        assert "; HttpOnly; SameSite=Lax" in first.headers["set-cookie"]
        assert "set-cookie" not in lonely.client.get("/admin/nowhere").headers

    def test_say_that_the_registry_is_away_and_what_goes_on(self, lonely: Browser) -> None:
        response = lonely.client.get("/admin/providers")
        assert response.status_code == 503
        assert "The registry is away" in response.text
        assert "Routers go on" in response.text

    def test_leave_no_query_in_the_log(self, lonely: Browser) -> None:
        lonely.client.get("/admin/providers?q=sk-canary-0123456789")
        assert "/admin/providers" in lonely.log.getvalue()
        assert "canary" not in lonely.log.getvalue()
