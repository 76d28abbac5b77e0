"""A stored table comes back as it was, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import codevector_providers as sdk
import pytest
from codevector.providers.v1 import provider_pb2
from codevector.providers.v1 import routing_service_pb2 as pb
from codevector_providers import _wire
from codevector_providers._stored_table import StoredTableRefused, TableFile
from codevector_providers.table import Entries, ProviderModels, RoutingTable

from tests.support.values.envelope_vectors import load_all
from tests.support.values.wire_values import entry

PRICING = sdk.Pricing("USD", "2.50", "0", None, None, (sdk.PricingTier(9, None, "1", None, "7"),))


def table() -> RoutingTable:
    """Providers of every kind, models with and without everything."""
    providers = [
        _wire.routing_provider(entry(vector, name=f"providers/{vector.name}"))
        for vector in load_all(opens=True)
    ]
    bare = pb.RoutingProvider(
        name="providers/bare",
        kind=provider_pb2.PROVIDER_KIND_OPENAI_COMPATIBLE,
        config=provider_pb2.ProviderConfig(
            openai_compatible=provider_pb2.OpenAICompatibleConfig(
                base_url="https://gw.example/v1", headers={"X-Tenant": "a"}
            )
        ),
    )
    unknown = pb.RoutingProvider(name="providers/unknown", kind=99)  # type: ignore[arg-type]
    full = sdk.ActiveProviderModel(
        name="providers/bare/models/full",
        provider="providers/bare",
        provider_kind=sdk.ProviderKind.OPENAI_COMPATIBLE,
        upstream_model_id="vendor/model:1",
        kind=sdk.ModelKind.CHAT,
        context_window=1,
        max_output_tokens=2,
        embedding_dimensions=3,
        pricing=PRICING,
        capabilities=(sdk.ModelCapability.TOOLS, sdk.ModelCapability.VISION),
        labels={"tier": "gold"},
    )
    plain = sdk.ActiveProviderModel(
        "providers/bare/models/plain",
        "providers/bare",
        sdk.ProviderKind(12),
        "p",
        sdk.ModelKind(2),
        0,
        0,
        0,
        None,
        (),
        {},
    )
    model = sdk.ActiveModel(
        "models/m",
        sdk.ModelKind.CHAT,
        (sdk.ModelBackend(full.name, 0, 3), sdk.ModelBackend(plain.name, 2, 1)),
        {"a": "b"},
    )
    return RoutingTable(
        "s",
        42,
        "",
        Entries.of([*providers, *map(_wire.routing_provider, (bare, unknown))]),
        ProviderModels.of([full, plain]),
        Entries.of([model]),
    )


@pytest.fixture
def file(tmp_path: Path) -> TableFile:
    return TableFile(tmp_path / "table")


def test_comes_back_as_it_was(file: TableFile) -> None:
    known = table()
    file.save(known, current_time=1_700_000_000.9)
    stored = file.load()
    assert stored.current_time == 1_700_000_000
    assert (stored.table.store_id, stored.table.revision) == ("s", 42)
    assert dict(stored.table.providers) == dict(known.providers)
    assert dict(stored.table.provider_models) == dict(known.provider_models)
    assert dict(stored.table.models) == dict(known.models)


def test_is_readable_by_nobody_else(file: TableFile, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        file.save(table(), current_time=0)
    finally:
        os.umask(before)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "table": 0o600,
        "table.key": 0o600,
    }
    assert b"providers/" not in (tmp_path / "table").read_bytes()


def test_the_last_one_counts(file: TableFile) -> None:
    file.save(table(), current_time=1)
    file.save(table().at(43, ""), current_time=2)
    assert (file.load().table.revision, file.load().current_time) == (43, 2)


def test_nothing_stored(file: TableFile) -> None:
    with pytest.raises(StoredTableRefused, match="No such file"):
        file.load()


def test_every_garbled_byte_is_noticed(file: TableFile, tmp_path: Path) -> None:
    file.save(table(), current_time=0)
    path = tmp_path / "table"
    whole = path.read_bytes()
    for index in range(0, len(whole), 97):
        garbled = bytearray(whole)
        garbled[index] ^= 1
        path.write_bytes(garbled)
        with pytest.raises(StoredTableRefused):
            file.load()


@pytest.mark.parametrize("name", ["table", "table.key"])
def test_a_link_is_refused_and_written_over(file: TableFile, tmp_path: Path, name: str) -> None:
    """Somebody who may make links, and no more, could point the router to files of their own."""
    file.save(table(), current_time=0)
    planted = tmp_path / "elsewhere"
    (tmp_path / name).rename(planted)
    (tmp_path / name).symlink_to(planted)
    with pytest.raises(StoredTableRefused, match="symbolic links"):
        file.load()
    content = planted.read_bytes()
    file.save(table(), current_time=1)
    assert file.load().current_time == 1
    assert planted.read_bytes() == content


def test_what_another_account_wrote_is_refused(file: TableFile, monkeypatch: pytest.MonkeyPatch) -> None:
    file.save(table(), current_time=0)
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(StoredTableRefused, match="another account's"):
        file.load()


@pytest.mark.parametrize("name", ["table", "table.key"])
def test_what_is_no_file_is_refused(file: TableFile, tmp_path: Path, name: str) -> None:
    file.save(table(), current_time=0)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name, 0o600)
    with pytest.raises(StoredTableRefused, match="not a plain file"):
        file.load()


@pytest.mark.parametrize("length", [0, 3, 4, 15, 16, 31, 32, 100])
def test_a_torn_file(file: TableFile, tmp_path: Path, length: int) -> None:
    file.save(table(), current_time=0)
    path = tmp_path / "table"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(StoredTableRefused):
        file.load()


class TestKey:
    def test_of_another_router(self, file: TableFile, tmp_path: Path) -> None:
        file.save(table(), current_time=0)
        (tmp_path / "table.key").write_bytes(bytes(32))
        with pytest.raises(StoredTableRefused, match="not a table"):
            file.load()

    def test_gone(self, file: TableFile, tmp_path: Path) -> None:
        file.save(table(), current_time=0)
        (tmp_path / "table.key").unlink()
        with pytest.raises(StoredTableRefused):
            file.load()
        file.save(table(), current_time=0)
        assert file.load()

    def test_that_others_may_read_is_replaced(self, file: TableFile, tmp_path: Path) -> None:
        file.save(table(), current_time=0)
        path = tmp_path / "table.key"
        exposed = path.read_bytes()
        path.chmod(0o640)
        with pytest.raises(StoredTableRefused, match="others may read it"):
            file.load()
        file.save(table(), current_time=0)
        assert path.read_bytes() != exposed
        assert file.load()

    def test_that_is_none(self, file: TableFile, tmp_path: Path) -> None:
        file.save(table(), current_time=0)
        (tmp_path / "table.key").write_bytes(b"short")
        with pytest.raises(StoredTableRefused, match="not a key"):
            file.load()


def test_what_cannot_be_stored_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        TableFile(tmp_path / "no" / "table").save(table(), current_time=0)
    assert list(tmp_path.iterdir()) == []
