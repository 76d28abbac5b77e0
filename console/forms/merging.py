"""Two editors of one thing: what changed meanwhile, and what of it the one who typed last would overwrite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

WAS = "was."
"""Before the name of an input: what it held when the form was opened."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """One field that another editor changed. ``overwrites`` says that this one typed something else there."""

    label: str
    before: str
    now: str
    typed: str

    @property
    def overwrites(self) -> bool:
        """Return whether saving would replace the other's value."""
        return self.typed != self.now


def changed(form: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Return which of the inputs hold something else than when the form was opened."""
    return [name for name in names if _clean(form.get(name, "")) != _clean(form.get(WAS + name, ""))]


def merge(
    form: Mapping[str, str], now: Mapping[str, str], labels: Mapping[str, str]
) -> tuple[dict[str, str], list[Conflict]]:
    """Return the values to show after another editor was faster, and what that one changed.

    What was typed stays; an input that was left alone follows the other editor.
    """
    values, conflicts = dict(form), list[Conflict]()
    for name, label in labels.items():
        before, typed, present = (
            _clean(form.get(WAS + name, "")),
            _clean(form.get(name, "")),
            now.get(name, ""),
        )
        if typed == before:
            typed = present
        values[name], values[WAS + name] = typed, present
        if before != present:
            conflicts.append(Conflict(label, before, present, typed))
    return values, conflicts


def _clean(text: str) -> str:
    """Return a value as it is compared: browsers send line breaks as CR LF."""
    return text.replace("\r\n", "\n").strip()
