"""An administrator at the console, by mouse or by keyboard, with scripts or without.

What is looked for are roles, labels and words, as a person or a screen reader finds them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from playwright.sync_api import Locator, Page, expect

STEPS = 200
"""How many times Tab is pressed in search of something."""


class Admin:
    """Clicks and types."""

    def __init__(self, page: Page, *, scripts: bool = True) -> None:
        self.page = page
        self.scripts = scripts

    def open(self, path: str) -> None:
        self.page.goto(path)

    @property
    def panel(self) -> Locator:
        """Where forms are: a dialog, or the page itself without scripts."""
        return self.page.get_by_role("dialog" if self.scripts else "main")

    @property
    def notice(self) -> Locator:
        """What was just done."""
        return self.page.get_by_role("main").get_by_role("status").first

    def press(self, target: Locator) -> None:
        target.click()

    def fill(self, target: Locator, text: str) -> None:
        target.fill(text)

    def check(self, target: Locator) -> None:
        target.check()

    def uncheck(self, target: Locator) -> None:
        target.uncheck()

    def link(self, name: str | re.Pattern[str]) -> Locator:
        """A link or button of the page, by its exact words."""
        exact = isinstance(name, str)
        main = self.page.get_by_role("main")
        return main.get_by_role("link", name=name, exact=exact).or_(
            main.get_by_role("button", name=name, exact=exact)
        )

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """A button of the panel."""
        return self.panel.get_by_role("button", name=name, exact=isinstance(name, str))

    def field(self, label: str, *, exact: bool = False) -> Locator:
        return self.panel.get_by_label(label, exact=exact)

    def act(self, name: str) -> None:
        """Press a link or button of the page."""
        self.press(self.link(name))

    def heading(self, text: str | re.Pattern[str]) -> None:
        """Wait for a page with this heading."""
        expect(self.page.get_by_role("main").get_by_role("heading", level=1).first).to_have_text(text)

    def told(self, text: str | re.Pattern[str]) -> None:
        """Wait for the sentence that says what was done."""
        expect(self.notice).to_contain_text(text)

    def choose_kind(self, display_name: str) -> None:
        """Open the form of a kind."""
        self.open("/admin/providers")
        self.press(self.link("Add provider").first)
        word = self.page.get_by_text(display_name, exact=True)
        self.press(self.panel.get_by_role("link").filter(has=word))
        expect(self.panel.get_by_role("heading", level=1)).to_have_text(f"Add provider: {display_name}")

    def unfold(self, summary: str) -> None:
        """Open a group of fields."""
        group = self.panel.locator("summary", has_text=summary)
        if not group.evaluate("summary => summary.parentElement.open"):
            self.press(group)

    def fill_all(self, values: Mapping[str, str]) -> None:
        for label, text in values.items():
            self.fill(self.panel.get_by_role("textbox", name=label), text)


class KeyboardAdmin(Admin):
    """Uses nothing but keys."""

    def reach(self, target: Locator) -> None:
        """Press Tab until the focus is there."""
        target.wait_for()
        for _ in range(STEPS):
            if target.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {target}")

    def press(self, target: Locator) -> None:
        self.reach(target)
        self.page.keyboard.press("Enter")

    def fill(self, target: Locator, text: str) -> None:
        self.reach(target)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def check(self, target: Locator) -> None:
        self.reach(target)
        if not target.is_checked():
            self.page.keyboard.press("Space")

    def uncheck(self, target: Locator) -> None:
        self.reach(target)
        if target.is_checked():
            self.page.keyboard.press("Space")
