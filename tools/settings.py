"""Write the settings' tables into README.md and docs/settings.md, or check them: `python -m tools.settings`.

The rows are those that the processes read (runtime/settings.py). A table stands between two marks; the rest
of the page is written by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cli.settings
import console.settings
import kms.settings
import service.settings
from runtime.settings import Setting
from tools.steps import ROOT, StepFailed, main_of

READERS: Mapping[str, Sequence[Setting[Any]]] = {
    "registry": service.settings.TABLE,
    "key sidecar": (*kms.settings.TABLE, *kms.settings.VAULT_TABLE),
    "console": console.settings.TABLE,
    "providerctl": cli.settings.TABLE,
}
EVERYDAY = (
    "CODEVECTOR_HOME",
    "CODEVECTOR_GRPC_PORT",
    "CODEVECTOR_CONSOLE_PORT",
    "CODEVECTOR_DATABASE_URL",
    "CODEVECTOR_KEYRING",
    "CODEVECTOR_ALLOW_LOOPBACK_HTTP",
    "CODEVECTOR_ALLOW_PRIVATE_UPSTREAMS",
    "CODEVECTOR_LOG_LEVEL",
)
"""What the README shows; docs/settings.md has all."""

BEGIN, END = "<!-- settings: written by `make settings` -->", "<!-- end of settings -->"
_TABLE = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)


def everything() -> list[Setting[Any]]:
    """Return every setting once, in the order in which the processes list them."""
    return list({setting.name: setting for table in READERS.values() for setting in table}.values())


def short_table(settings: Iterable[Setting[Any]]) -> str:
    """Return the README's table: the settings of every day."""
    everyday = {each.name: each for each in settings}
    rows = [(f"`{name}`", _default(everyday[name]), everyday[name].about) for name in EVERYDAY]
    return _table(("Variable", "Default", "What"), rows)


def full_table(settings: Iterable[Setting[Any]]) -> str:
    """Return the table of docs/settings.md, which says who reads what."""
    rows = [(f"`{each.name}`", _default(each), each.about, _readers(each)) for each in settings]
    return _table(("Variable", "Default", "What", "Read by"), rows)


def placed(text: str, table: str) -> str:
    """Return a page with its table replaced.

    Raises:
        StepFailed: the page has no marks.
    """
    new, count = _TABLE.subn(lambda _: table, text)
    if count != 1:
        raise StepFailed(f"put the table between {BEGIN} and {END}")
    return new


def outdated(*, write: bool) -> list[Path]:
    """Return the pages whose table is not current; with ``write``, they are brought up to date."""
    settings = everything()
    pages = {ROOT / "README.md": short_table(settings), ROOT / "docs" / "settings.md": full_table(settings)}
    changed = []
    for page, table in pages.items():
        old = page.read_text()
        new = placed(old, table)
        if new != old:
            changed.append(page)
            if write:
                page.write_text(new)
    return changed


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _default(setting: Setting[Any]) -> str:
    if setting.default_note:
        return setting.default_note
    return f"`{setting.default}`" if setting.default else "unset"


def _readers(setting: Setting[Any]) -> str:
    return ", ".join(
        who for who, table in READERS.items() if any(each.name == setting.name for each in table)
    )


def main(*, check: bool) -> None:
    """Write the tables.

    Raises:
        StepFailed: a page has no marks, or ``check`` finds a table out of date.
    """
    changed = outdated(write=not check)
    if changed and check:
        names = " and ".join(str(page.relative_to(ROOT)) for page in changed)
        raise StepFailed(f"The settings in {names} are out of date: run `make settings` and commit.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if out of date")
    arguments = parser.parse_args()
    sys.exit(main_of(lambda: main(check=arguments.check)))
