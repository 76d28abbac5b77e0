"""What every backend checks of an item before it uses a key: context, wrapper, and that their names agree."""

from __future__ import annotations

from kms.formats import DekContext, FormatError, Wrapper, parse_context, parse_wrapper
from kms.keyring import KEY_VERSION_PREFIX, CorruptDataKey, InvalidContext, WrappedDataKey


def checked_context(octets: bytes, deployment_id: bytes) -> DekContext:
    """The parsed CTX. Raises InvalidContext if it is malformed, or of another deployment or audience."""
    try:
        context = parse_context(octets)
    except FormatError as error:
        raise InvalidContext(str(error)) from None
    if context.deployment_id != deployment_id:
        raise InvalidContext("the context belongs to another deployment")
    return context


def checked_wrapper(item: WrappedDataKey, context: DekContext) -> Wrapper:
    """The parsed wrapper. Raises CorruptDataKey if it is malformed, or not of the version the item says."""
    try:
        wrapper = parse_wrapper(item.wrapped)
    except FormatError:
        raise CorruptDataKey(context.dek_id) from None
    if item.key_version != KEY_VERSION_PREFIX + wrapper.ref:
        raise CorruptDataKey(context.dek_id)
    return wrapper
