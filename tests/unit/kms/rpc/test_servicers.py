"""What the services do with keys that pass through them."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import create_autospec

import pytest
from codevector.kms.v1 import key_management_service_pb2 as pb2

from kms.audit.log import Audit
from kms.keyring import DATA_KEY_LENGTH, Keyring, KeyringUnavailable
from kms.rpc.servicers import KeyManagement


def test_data_keys_that_could_not_be_wrapped_are_wiped_too() -> None:
    keyring = create_autospec(Keyring, instance=True)
    keyring.wrap.side_effect = KeyringUnavailable
    audit = create_autospec(Audit, instance=True)
    management = KeyManagement(keyring, audit, release="1", clock=lambda: datetime(2026, 11, 23, tzinfo=UTC))
    request = pb2.BatchWrapDataKeysRequest(
        items=[pb2.WrapItem(context=b"c", plaintext=b"\7" * DATA_KEY_LENGTH)] * 2
    )
    with pytest.raises(KeyringUnavailable):
        management.wrap(request)
    (items,) = keyring.wrap.call_args.args
    assert [bytes(item.data_key.octets) for item in items] == [bytes(DATA_KEY_LENGTH)] * 2
