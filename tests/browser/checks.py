"""What every page is held to: axe's rules in both themes, its width, and that nothing moves by itself."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_AXE = Axe()


def violations(page: Page) -> list[str]:
    """Return what axe finds in both themes."""
    found = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for violation in _AXE.run(page).response["violations"]:
            found += [f"{theme}: {violation['id']}: {node['html'][:200]}" for node in violation["nodes"]]
    return found


def is_too_wide(page: Page) -> bool:
    """Return whether the page scrolls sideways on a phone."""
    page.set_viewport_size({"width": 390, "height": 844})
    wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return bool(wide)


def misplaced(page: Page) -> list[str]:
    """Return what a page hides on a phone: its beginning, the section it is in, or parts of its cards."""
    page.set_viewport_size({"width": 390, "height": 844})
    found: list[str] = page.evaluate(
        """() => {
          const box = (each) => each.getBoundingClientRect();
          const found = [];
          const content = document.querySelector("main").firstElementChild;
          if (box(content).top > 240) found.push("a gap above the content");
          for (const each of document.querySelectorAll(".side [aria-current]"))
            if (box(each).right > innerWidth) found.push(`not in sight: ${each.textContent}`);
          for (const card of document.querySelectorAll(".card"))
            for (const each of card.querySelectorAll("*"))
              if (box(each).right > box(card).right) found.push(`sticks out: ${each.textContent}`);
          return found;
        }"""
    )
    return found


def shift(page: Page) -> float:
    """Return the sum of all layout shifts so far that nobody's typing or clicking caused."""
    moved = page.evaluate(
        """() => new Promise((done) => {
          let sum = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
          }).observe({type: "layout-shift", buffered: true});
          requestAnimationFrame(() => setTimeout(() => done(sum), 50));
        })"""
    )
    return float(moved)
