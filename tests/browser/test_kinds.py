"""Each of the twelve kinds: its form, a test of its key at an upstream here, and what is shown then."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from tests.browser.admin import Admin
from tests.browser.conftest import new_name
from tests.support.doubles.keyed_upstreams import API_KEY, WRONG_KEY, KeyedUpstreams


@dataclass(frozen=True)
class Kind:
    """A kind whose address can lead to this machine. ``url`` is the field that takes it."""

    display_name: str
    url: str = "Base URL"
    advanced: bool = True


KINDS = {
    "openai": Kind("OpenAI"),
    "anthropic": Kind("Anthropic"),
    "azure": Kind("Azure OpenAI / AI Foundry", "Endpoint", advanced=False),
    "google": Kind("Google (Gemini API / AI Studio)"),
    "groq": Kind("Groq"),
    "cohere": Kind("Cohere"),
    "deepseek": Kind("DeepSeek"),
    "moonshot": Kind("Moonshot AI (Kimi)"),
    "openai_compatible": Kind("OpenAI-compatible endpoint", advanced=False),
}


@dataclass(frozen=True)
class Cloud:
    """A kind whose address is a cloud's own: the router's identity signs in there, and no call is made."""

    display_name: str
    settings: Mapping[str, str]
    summary: str


PROJECT = {"Project ID": "canary-project", "Location": "global"}
CLOUDS = {
    "bedrock": Cloud("Amazon Bedrock", {"Region": "eu-west-1"}, "eu-west-1"),
    "vertex": Cloud("Google Vertex AI", PROJECT, "canary-project (global)"),
    "vertex_anthropic": Cloud("Claude on Vertex AI", PROJECT, "canary-project (global)"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_with_a_key(admin: Admin, upstreams: KeyedUpstreams, kind: str) -> None:
    about, name = KINDS[kind], new_name("Kind")
    admin.choose_kind(about.display_name)
    admin.fill(admin.field("Name", exact=True), name)
    key = admin.panel.get_by_role("textbox", name="API key")
    admin.fill(key, WRONG_KEY)
    if about.advanced:
        admin.unfold("Advanced")
    admin.fill(admin.field(about.url), upstreams.url(kind))
    admin.press(admin.button("Test key"))
    expect(admin.panel).to_contain_text("rejects the credential")
    admin.fill(key, API_KEY)
    admin.press(admin.button("Test key"))
    expect(admin.panel).to_contain_text(re.compile("accepts the credential|cannot confirm"))
    anyway = admin.field("It is right: save it anyway")
    if anyway.is_visible():
        admin.check(anyway)
    admin.press(admin.button("Add provider"))
    admin.heading(name)
    admin.told(f"{name} is added.")
    expect(admin.page.get_by_role("main")).to_contain_text("write-only")
    expect(admin.page.get_by_role("main")).not_to_contain_text(API_KEY)


@pytest.mark.parametrize("kind", CLOUDS)
def test_a_kind_that_signs_in_by_itself(admin: Admin, kind: str) -> None:
    about, name = CLOUDS[kind], new_name("Kind")
    admin.choose_kind(about.display_name)
    admin.fill(admin.field("Name", exact=True), name)
    admin.check(admin.panel.get_by_role("radio", name=re.compile("^Router")))
    admin.fill_all(about.settings)
    admin.press(admin.button("Test key"))
    expect(admin.panel.locator("#outcome")).not_to_be_empty()
    admin.press(admin.button("Add provider"))
    admin.heading(name)
    admin.told(f"{name} is added.")
    expect(admin.page.get_by_role("main")).to_contain_text(about.summary)


def test_a_key_of_another_kind_stops_softly(admin: Admin) -> None:
    name = new_name("Foreign")
    admin.choose_kind("Anthropic")
    admin.fill(admin.field("Name", exact=True), name)
    admin.field("API key").press_sequentially("sk-proj-0123456789abcdefghij")
    expect(admin.panel).to_contain_text("This looks like a key for OpenAI")
    admin.press(admin.button("Add provider"))
    expect(admin.panel.get_by_role("alert")).to_contain_text(
        "This looks like a key for OpenAI, not for Anthropic"
    )
    expect(admin.field("Name", exact=True)).to_have_value(name)
    expect(admin.field("API key")).to_have_value("")
