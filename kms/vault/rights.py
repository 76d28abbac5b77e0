"""What the sidecar's token may do: enough for its work, and nothing that would defeat its purpose.

The server itself says so (``sys/capabilities-self``), whichever policies apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kms.vault.key import TransitAddress

# Names and faults come from the metadata read. The three operations are ``update``, never ``create``: a token
# that may create turns a mistyped key name into a new key without the required attributes.
_USES = ("encrypt", "decrypt", "rewrap")
_READS = frozenset({"read"})
_UPDATES = frozenset({"update"})
_NONE = frozenset({"deny"})


@dataclass(frozen=True, slots=True)
class Rights:
    """What the token may do. ``excess`` names what it must not be able to do, ``lack`` what it needs."""

    wrap: bool
    open: bool
    excess: tuple[str, ...]
    lack: tuple[str, ...]


def asked_paths(address: TransitAddress, probe: str) -> list[str]:
    """Return every path whose capabilities matter. ``probe`` is the name of a key that does not exist."""
    return [*_allowed(address), *_forbidden(address, probe)]


def judge(address: TransitAddress, probe: str, capabilities: Mapping[str, Any]) -> Rights:
    """Judge the capabilities that the server returned for ``asked_paths``."""
    held = {path: frozenset(capabilities.get(path) or _NONE) - _NONE for path in asked_paths(address, probe)}
    excess = [
        f"{','.join(sorted(held[path] - wanted))} on {path}"
        for path, wanted in _allowed(address).items()
        if held[path] - wanted
    ]
    excess += [f"{what} ({path})" for path, what in _forbidden(address, probe).items() if held[path]]
    encrypts, decrypts, rewraps = (held[address.path(use)] >= _UPDATES for use in _USES)
    lack = [] if held[address.path("keys")] >= _READS else [f"read on {address.path('keys')}"]
    if encrypts != rewraps or not (encrypts or decrypts):
        lack += [f"update on {address.path(use)}" for use in _USES if not held[address.path(use)] >= _UPDATES]
    return Rights(wrap=encrypts and rewraps, open=decrypts, excess=tuple(excess), lack=tuple(lack))


def judge_admin(address: TransitAddress, probe: str, capabilities: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the second identity may do but must not: use the key, remove it, touch other keys."""
    held = {path: frozenset(capabilities.get(path) or _NONE) - _NONE for path in asked_paths(address, probe)}
    administers = {f"{address.path('keys')}/{verb}" for verb in ("rotate", "config", "trim")}
    excess = [f"{use} with the key" for use in _USES if held[address.path(use)]]
    excess += [
        f"{what} ({path})"
        for path, what in _forbidden(address, probe).items()
        if held[path] - (_UPDATES if path in administers else _NONE)
    ]
    own = held[address.path("keys")] - _READS
    return (*excess, *([f"{','.join(sorted(own))} on {address.path('keys')}"] if own else []))


def _allowed(address: TransitAddress) -> dict[str, frozenset[str]]:
    return {**{address.path(use): _UPDATES for use in _USES}, address.path("keys"): _READS}


def _forbidden(address: TransitAddress, probe: str) -> dict[str, str]:
    mount, key = address.mount, address.key
    return {
        f"{mount}/export/encryption-key/{key}": "export the key",
        f"{mount}/backup/{key}": "back the key up",
        f"{mount}/restore/{key}": "restore over the key",
        f"{mount}/keys/{key}/config": "configure the key",
        f"{mount}/keys/{key}/rotate": "rotate the key",
        f"{mount}/keys/{key}/trim": "trim the key",
        f"{mount}/keys/{key}/import_version": "import a version",
        f"{mount}/keys/{probe}": "manage other keys",
        **{f"{mount}/{use}/{probe}": f"{use} with other keys" for use in _USES},
        f"sys/mounts/{mount}": "disable the mount",
        f"sys/policies/acl/{probe}": "change policies",
        "auth/token/create": "issue tokens",
    }
