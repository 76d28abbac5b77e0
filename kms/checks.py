"""What every backend checks in an item before it uses a key: context, wrapped key, matching names."""

from __future__ import annotations

from kms.formats import DekContext, FormatError, Wrapper, parse_context, parse_wrapper
from kms.keyring import KEY_VERSION_PREFIX, CorruptDataKey, InvalidContext, WrappedDataKey


def checked_context(octets: bytes, deployment_id: bytes) -> DekContext:
    """Parse a CTX. Raises InvalidContext if it is malformed, or of another deployment or audience."""
    try:
        context = parse_context(octets)
    except FormatError as error:
        raise InvalidContext(str(error)) from None
    if context.deployment_id != deployment_id:
        raise InvalidContext(
            "belongs to another deployment: do both sides use the same CODEVECTOR_DEPLOYMENT_ID?"
        )
    return context


def checked_wrapper(item: WrappedDataKey, context: DekContext) -> Wrapper:
    """Parse a wrapped key. Raises CorruptDataKey if it is malformed or of another version than the item's."""
    try:
        wrapper = parse_wrapper(item.wrapped)
    except FormatError:
        raise CorruptDataKey(context.dek_id) from None
    if item.key_version != KEY_VERSION_PREFIX + wrapper.ref:
        raise CorruptDataKey(context.dek_id)
    return wrapper
