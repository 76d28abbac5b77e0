"""Why the sidecar does not start."""

from __future__ import annotations


class StartRefused(Exception):
    """The base of every refusal to start; the text is one sentence that an operator can act on."""
