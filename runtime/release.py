"""Which release this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

_DISTRIBUTION = "codevector-provider-service"


def release() -> str:
    """Return the installed version; a checkout that is run without being installed has none."""
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unreleased"
