"""What a wrapper shows without any key: the key version it was made under."""

from __future__ import annotations

import struct

KEY_VERSION_COLLECTION = "keyVersions/"

_WRAPPER_HEAD = struct.Struct(">4sBBH")


def key_version_of(wrapper: bytes) -> str | None:
    """Return the resource name of the key version in a wrapper's bytes, or None if malformed."""
    if len(wrapper) < _WRAPPER_HEAD.size:
        return None
    magic, _backend, suite, ref_bytes = _WRAPPER_HEAD.unpack_from(wrapper)
    ref = wrapper[_WRAPPER_HEAD.size : _WRAPPER_HEAD.size + ref_bytes]
    if magic != b"CVW1" or suite != 1 or not ref or len(ref) != ref_bytes or not ref.isascii():
        return None
    return KEY_VERSION_COLLECTION + ref.decode("ascii")
