"""The table of settings: what is read, refused, shown and masked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.settings import (
    ADMIN_SOCKET,
    GRPC_PORT,
    HOME,
    INSECURE_DEBUG,
    LOG_LEVEL,
    REGISTRY_SOCKET,
    Setting,
    SettingsError,
    path,
    read,
    refuse_trace,
    switch,
)

SECRET = Setting("TEST_SECRET", "a secret", str, secret=True)
NOTE = Setting("TEST_NOTE", "something optional", str)
SWITCH = switch("TEST_SWITCH", "a switch")
FILE = Setting("TEST_FILE", "a file", path, "$CODEVECTOR_HOME/file")
TABLE = (HOME, GRPC_PORT, SECRET, NOTE, SWITCH, FILE, LOG_LEVEL)


class TestRead:
    def test_defaults(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        values = read({}, TABLE)
        assert values[HOME] == tmp_path / "var"
        assert values[GRPC_PORT] == 50051
        assert values[SWITCH] is False
        assert values[FILE] == tmp_path / "var" / "file"
        assert values[LOG_LEVEL] == "info"

    def test_what_is_unset_and_has_no_default(self) -> None:
        values = read({}, TABLE)
        assert values.get(NOTE) is None
        with pytest.raises(KeyError):
            values[NOTE]

    def test_an_empty_variable_counts_as_unset(self) -> None:
        assert read({"CODEVECTOR_GRPC_PORT": "", "TEST_NOTE": ""}, TABLE).lines() == read({}, TABLE).lines()

    def test_the_data_directory_is_put_into_defaults_alone(self) -> None:
        values = read({"CODEVECTOR_HOME": "/srv/cv", "TEST_NOTE": "$CODEVECTOR_HOME/x"}, TABLE)
        assert values[FILE] == Path("/srv/cv/file")
        assert values[NOTE] == "$CODEVECTOR_HOME/x"

    @pytest.mark.parametrize("text", ["~/x", "x", "./y/../x"])
    def test_paths_are_absolute(self, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert read({"TEST_FILE": text}, TABLE)[FILE] == tmp_path / "x"

    @pytest.mark.parametrize(("text", "on"), [("1", True), ("true", True), ("0", False), ("False", False)])
    def test_switches(self, text: str, on: bool) -> None:
        assert read({"TEST_SWITCH": text}, TABLE)[SWITCH] is on


class TestRefusals:
    @pytest.mark.parametrize(
        ("setting", "text", "sentence"),
        [
            (GRPC_PORT, "0", "CODEVECTOR_GRPC_PORT must be a port from 1 to 65535, e.g. 50051"),
            (GRPC_PORT, "65536", "CODEVECTOR_GRPC_PORT must be a port"),
            (GRPC_PORT, "\u0665", "CODEVECTOR_GRPC_PORT must be a port"),
            (SWITCH, "yes", "TEST_SWITCH must be 0 or 1"),
            (LOG_LEVEL, "loud", "CODEVECTOR_LOG_LEVEL must be one of debug, info, warning, error"),
            (
                REGISTRY_SOCKET,
                "/" + "x" * 107,
                "CODEVECTOR_KMS_REGISTRY_SOCKET is 108 bytes long, and a socket's path may have 107: set it",
            ),
            (
                REGISTRY_SOCKET,
                "/home/x,y/registry.sock",
                "CODEVECTOR_KMS_REGISTRY_SOCKET must not have a comma in its path: gRPC takes",
            ),
        ],
        ids=["port 0", "port too large", "other digits", "switch", "level", "long socket", "comma"],
    )
    def test_one_sentence_names_the_setting(self, setting: Setting[Any], text: str, sentence: str) -> None:
        with pytest.raises(SettingsError) as refused:
            read({setting.name: text}, (HOME, setting))
        assert str(refused.value).startswith(sentence)
        assert "\n" not in str(refused.value)

    def test_a_home_that_is_too_long_for_its_sockets(self) -> None:
        with pytest.raises(SettingsError, match="CODEVECTOR_KMS_ADMIN_SOCKET is 216 bytes long"):
            read({"CODEVECTOR_HOME": "/" + "x" * 200}, (HOME, ADMIN_SOCKET))

    def test_a_home_with_a_comma_is_refused_by_its_own_name(self) -> None:
        with pytest.raises(SettingsError, match="CODEVECTOR_HOME must not have a comma in its path"):
            read({"CODEVECTOR_HOME": "/srv/x,y"}, (HOME, ADMIN_SOCKET))

    def test_a_socket_path_of_107_bytes_is_taken(self) -> None:
        longest = "/" + "x" * 106
        assert read({ADMIN_SOCKET.name: longest}, (HOME, ADMIN_SOCKET))[ADMIN_SOCKET] == Path(longest)


class TestTrace:
    def test_is_refused(self) -> None:
        environment = {"GRPC_TRACE": "all"}
        with pytest.raises(SettingsError, match="GRPC_TRACE prints credentials"):
            refuse_trace(environment, read(environment, (INSECURE_DEBUG,)))

    @pytest.mark.parametrize(
        "environment",
        [{}, {"GRPC_TRACE": ""}, {"GRPC_TRACE": "all", "CODEVECTOR_INSECURE_DEBUG": "1"}],
        ids=["unset", "empty", "allowed"],
    )
    def test_is_not_refused(self, environment: dict[str, str]) -> None:
        refuse_trace(environment, read(environment, (INSECURE_DEBUG,)))


class TestLines:
    def test_every_setting_once_in_the_order_of_the_table(self) -> None:
        lines = read({"CODEVECTOR_HOME": "/h", "TEST_SWITCH": "true"}, TABLE).lines()
        assert lines == [
            "CODEVECTOR_HOME=/h",
            "CODEVECTOR_GRPC_PORT=50051",
            "TEST_SECRET=",
            "TEST_NOTE=",
            "TEST_SWITCH=1",
            "TEST_FILE=/h/file",
            "CODEVECTOR_LOG_LEVEL=info",
        ]

    def test_secrets_are_masked_wherever_they_could_be_seen(self) -> None:
        values = read({"TEST_SECRET": "canary"}, TABLE)
        assert values[SECRET] == "canary"
        assert "TEST_SECRET=********" in values.lines()
        assert "canary" not in f"{values!r} {values} {values.lines()}"
