"""Stylesheets, scripts and icons: read once, compressed once, served under the digest of their content."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. ``path`` changes with its content, so a browser may keep it for ever."""

    path: str
    content_type: str
    content: bytes
    compressed: bytes


class Assets:
    """All files of ``static/``, by their path in it."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._by_name = dict(_read(folder))
        self._by_path = {asset.path: asset for asset in self._by_name.values()}

    @property
    def by_name(self) -> Mapping[str, Asset]:
        """The files by name, e.g. ``console.css``."""
        return self._by_name

    def url(self, name: str) -> str:
        """Return the address of a file."""
        return self._by_name[name].path

    async def serve(self, request: Request) -> Response:
        """Return a file, compressed where the browser takes that; 404 where the content is another by now."""
        asset = self._by_path.get(request.url.path)
        if asset is None:
            return Response(status_code=404)
        headers = {"cache-control": _FOR_EVER, "vary": "accept-encoding"}
        content = asset.content
        if "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["content-encoding"] = asset.compressed, "gzip"
        return Response(content, headers=headers, media_type=asset.content_type)


def _read(folder: Path) -> list[tuple[str, Asset]]:
    found = []
    for file in sorted(folder.rglob("*")):
        if file.suffix not in _TYPES:
            continue
        content, name = file.read_bytes(), file.relative_to(folder).as_posix()
        digest = hashlib.sha256(content).hexdigest()[:16]
        compressed = gzip.compress(content, mtime=0)
        found.append((name, Asset(f"/static/{digest}/{name}", _TYPES[file.suffix], content, compressed)))
    return found
