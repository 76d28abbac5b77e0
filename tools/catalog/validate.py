"""Validate the bundled catalogs: every field, and the canonical form."""

from __future__ import annotations

from pathlib import Path

from service.domain.catalog import Catalogs
from tools.catalog.canonical import canonical_bytes
from tools.catalog.document import CatalogFileError, read_document
from tools.catalog.reader import RELEASE_NAME, load_catalogs


def validate_catalogs(root: Path) -> Catalogs:
    """Return the catalogs under ``root`` if every file is valid and written canonically.

    Raises:
        CatalogFileError: the first file that is not, with its line.
    """
    catalogs = load_catalogs(root)
    releases = [path for path in sorted(root.iterdir()) if RELEASE_NAME.fullmatch(path.name)]
    for directory in (root, *releases):
        for path in sorted(directory.glob("*.json")):
            check_canonical(path)
    return catalogs


def check_canonical(path: Path) -> None:
    """Raise unless the file is in canonical form.

    Raises:
        CatalogFileError: with the first line that differs.
    """
    document = read_document(path)
    expected = canonical_bytes(document.root)
    if document.data == expected:
        return
    actual_lines, expected_lines = document.data.split(b"\n"), expected.split(b"\n")
    pairs = enumerate(zip(actual_lines, expected_lines, strict=False), start=1)
    shorter = min(len(actual_lines), len(expected_lines))
    line = next((number for number, (actual, wanted) in pairs if actual != wanted), shorter)
    raise CatalogFileError(path, line, "is not written canonically (order of keys, spacing or line ends)")
