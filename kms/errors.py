"""The base of what the sidecar refuses: to start, and to answer a call."""

from __future__ import annotations


class StartError(Exception):
    """The sidecar does not start; the text is one sentence that an operator can act on."""


class SidecarError(Exception):
    """A call is refused: ``reason`` is of the API's error table, ``metadata`` holds the text's variables."""

    reason = ""

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata
