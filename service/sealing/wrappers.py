"""What a wrapper tells without any key: the key version it is made under."""

from __future__ import annotations

import struct

KEY_VERSION_COLLECTION = "keyVersions/"

_WRAPPER_HEAD = struct.Struct(">4sBBH")


def key_version_of(wrapper: bytes) -> str | None:
    """The resource name of the key version a wrapper's own bytes name, or None if they are no wrapper."""
    if len(wrapper) < _WRAPPER_HEAD.size:
        return None
    magic, _backend, suite, ref_bytes = _WRAPPER_HEAD.unpack_from(wrapper)
    ref = wrapper[_WRAPPER_HEAD.size : _WRAPPER_HEAD.size + ref_bytes]
    if magic != b"CVW1" or suite != 1 or not ref or len(ref) != ref_bytes or not ref.isascii():
        return None
    return KEY_VERSION_COLLECTION + ref.decode("ascii")
