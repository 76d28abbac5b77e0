"""An opened credential shows itself to those who ask by name, and to nobody else."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable

import pytest
from codevector_providers import Credential, CredentialType

SECRET = "sk-canary-0123456789abcdef"


@pytest.fixture
def credential() -> Credential:
    return Credential(
        provider="providers/p",
        credential_type=CredentialType.AWS_ACCESS_KEY,
        version=3,
        destinations=(),
        fields={"secret_access_key": SECRET, "access_key_id": "AKIA" + SECRET},
    )


class TestReveal:
    def test_gives_fields(self, credential: Credential) -> None:
        assert credential.field_names == ("access_key_id", "secret_access_key")
        assert credential.reveal("secret_access_key") == SECRET
        assert credential.reveal_all()["access_key_id"] == "AKIA" + SECRET
        assert (credential.provider, credential.type.name, credential.version) == (
            "providers/p",
            "AWS_ACCESS_KEY",
            3,
        )

    def test_unknown_field(self, credential: Credential) -> None:
        with pytest.raises(KeyError):
            credential.reveal("api_key")

    def test_all_is_a_copy(self, credential: Credential) -> None:
        credential.reveal_all().clear()
        assert credential.field_names


class TestRedaction:
    @pytest.mark.parametrize(
        "show",
        [
            repr,
            str,
            lambda value: f"{value}",
            lambda value: f"{value:>200}",
            lambda value: "%s %r" % (value, value),  # noqa: UP031
            lambda value: repr([value, {"x": value}]),
            lambda value: json.dumps({"x": value}, default=str),
            lambda value: "".join(traceback.format_exception(ValueError(value))),
        ],
    )
    def test_shows_nothing(self, credential: Credential, show: Callable[[Credential], str]) -> None:
        shown = show(credential)
        assert SECRET not in shown
        assert "redacted" in shown

    def test_logs_nothing(self, credential: Credential, caplog: pytest.LogCaptureFixture) -> None:
        logging.getLogger("router").warning("opened %s", credential)
        assert SECRET not in caplog.text

    @pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars])
    def test_is_not_taken_along(self, credential: Credential, take: Callable[[Credential], object]) -> None:
        with pytest.raises(TypeError) as caught:
            take(credential)
        assert SECRET not in str(caught.value)
