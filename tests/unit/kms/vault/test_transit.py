"""What a response must hold before anything is concluded from it."""

from __future__ import annotations

from typing import Any
from unittest.mock import create_autospec

import pytest

from kms.keyring import KeyringUnavailable
from kms.vault.key import TransitAddress
from kms.vault.session import Answer, VaultSession
from kms.vault.transit import Transit

PATHS = ["transit/keys/k", "transit/export/encryption-key/k"]


@pytest.mark.parametrize(
    "told",
    [{}, {PATHS[0]: ["read"]}, {PATHS[0]: ["read"], PATHS[1]: None}],
    ids=["of none", "not of all", "of one with nothing"],
)
def test_a_path_that_is_not_told_of_counts_as_no_refusal(told: dict[str, Any]) -> None:
    session = create_autospec(VaultSession, instance=True)
    transit = Transit(session, TransitAddress("transit", "k"))
    session.request.return_value = Answer(200, {"data": told})
    with pytest.raises(KeyringUnavailable, match="does not report"):
        transit.capabilities(PATHS)


def test_what_each_path_allows() -> None:
    session = create_autospec(VaultSession, instance=True)
    told = {PATHS[0]: ["read"], PATHS[1]: ["deny"]}
    session.request.return_value = Answer(200, {"data": told})
    assert Transit(session, TransitAddress("transit", "k")).capabilities(PATHS) == told
