"""A console before a real registry in this process, and a browser without scripts that keeps cookies."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape

import pytest
from starlette.testclient import TestClient

from console import app
from console.settings import load
from runtime.logs import build_logger
from tests.support.servers.wired import Wired, wired

ORIGIN = "http://127.0.0.1:8080"
SAME_ORIGIN = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}


@dataclass(slots=True)
class Browser:
    """Keeps cookies, follows redirects, and sends forms as a browser without scripts does."""

    client: TestClient
    log: io.StringIO
    seen: list[str] = field(default_factory=list)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> str:
        response = self.client.get(path, headers=dict(headers or {}))
        self.seen.append(f"{response.headers}{response.text}")
        assert response.status_code == 200, (path, response.status_code, response.text[:2000])
        return response.text

    def form_of(self, path: str) -> dict[str, str]:
        """The inputs of the page's largest form, as they stand."""
        return largest_form(self.get(path))

    def send(
        self, path: str, values: Mapping[str, str | list[str]], status: int = 200, origin: str = ""
    ) -> str:
        """Open the form at ``origin``, or at ``path`` itself, fill it in, and send it."""
        filled: dict[str, str | list[str]] = {**self.form_of(origin or path), **values}
        return self.post(path, filled, status)

    def post(self, path: str, values: Mapping[str, str | list[str]], status: int = 200) -> str:
        response = self.client.post(path, data=dict(values), headers=SAME_ORIGIN)
        self.seen.append(f"{response.url}{response.headers}{response.text}")
        assert response.status_code == status, (path, response.status_code, response.text[:3000])
        return response.text


def largest_form(html: str) -> dict[str, str]:
    """The inputs of a page's largest form."""
    forms: list[str] = re.findall(r"<form method=\"post\".*?</form>", html, re.DOTALL)
    return fields_of(max(forms, key=len))


def fields_of(html: str) -> dict[str, str]:
    """Names and values of a form's inputs; of check boxes and radio buttons those that are checked."""
    found = {}
    for tag in re.findall(r"<input[^>]*>", html):
        attributes = {
            name: unescape(value) for name, value in re.findall(r'([a-z_.-]+)="([^"]*)"', tag, re.DOTALL)
        }
        if attributes.get("type") in ("checkbox", "radio") and " checked" not in tag:
            continue
        if "name" in attributes:
            found[attributes["name"]] = attributes.get("value", "")
    for name, value in re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>(.*?)</textarea>', html, re.DOTALL):
        found[name] = unescape(value)
    return found


@pytest.fixture
def registry() -> Iterator[Wired]:
    with wired() as made:
        yield made


@pytest.fixture
def browser(registry: Wired) -> Iterator[Browser]:
    with opened(registry.port) as made:
        yield made


@contextmanager
def opened(port: int) -> Iterator[Browser]:
    """A console before the registry at a port."""
    log = io.StringIO()
    settings = load({"CODEVECTOR_GRPC_PORT": str(port)})
    with app.build(settings, build_logger(log, logging.DEBUG)) as built:
        yield Browser(TestClient(built, base_url=ORIGIN), log)
