"""Resources that cannot be read: which they are, and what can be shown of them all the same.

A row that was edited past the store, or that a damaged page holds, must cost its own resource and no other.
Reading stays as quick as if there were none: the column types raise `Unreadable` at the first, and only then
all rows are read again here, value by value, to find out which they are. From then on units of work leave
these out of what they read by the usual way, and look at them by this one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from types import MappingProxyType, SimpleNamespace
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Table,
    and_,
    delete,
    literal_column,
    not_,
    select,
    true,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.domain.model import (
    CredentialType,
    CredentialView,
    Model,
    ModelFacts,
    ModelKind,
    ModelSource,
    Provider,
    ProviderConfig,
    ProviderKind,
    ProviderModel,
    ProviderModelKey,
    State,
)
from service.store.columns import Unreadable, as_stored
from service.store.mapping import (
    imported_of,
    model_from_rows,
    pricing_of,
    provider_from_rows,
    provider_model_from_row,
)
from service.store.rows import (
    BackendRow,
    Base,
    CredentialRow,
    DataKeyRow,
    IdempotencyRow,
    ModelRow,
    ProviderModelRow,
    ProviderRow,
    ReplicaRow,
    RouterRow,
    RouterWatchRow,
    SidecarRow,
)
from service.store.sql import ModelIdShaped, ProviderIdShaped, among, pair_among

K = TypeVar("K")
T = TypeVar("T")

Columns = tuple[str, ...]
"""Columns at fault, as ``table.column``."""
Nameless = defaultdict[str, set[str]]
_OTHERS: tuple[type[Base], ...] = (IdempotencyRow, SidecarRow)
_PRESENCE: tuple[type[Base], ...] = (RouterRow, RouterWatchRow, ReplicaRow)
_NONE: Mapping[Any, Any] = MappingProxyType({})
_NO_UUID = UUID(int=0)
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 1000
_KNOWN_TEXTS = 1000
"""Of a column, remembered at most: one that has more has another in each row."""

Texts = ColumnElement[str] | InstrumentedAttribute[str]


@dataclass(frozen=True, slots=True)
class Unsound:
    """The resources that cannot be read, each with the columns at fault.

    ``nameless`` has the columns at fault of rows whose key cannot be part of a name, by table: nobody can ask
    for them, so they are left out of everything. ``others`` has those of tables without resources.
    """

    providers: Mapping[str, Columns] = field(default_factory=lambda: _NONE)
    provider_models: Mapping[ProviderModelKey, Columns] = field(default_factory=lambda: _NONE)
    models: Mapping[str, Columns] = field(default_factory=lambda: _NONE)
    nameless: Mapping[str, Columns] = field(default_factory=lambda: _NONE)
    others: Mapping[str, Columns] = field(default_factory=lambda: _NONE)

    def __bool__(self) -> bool:
        return bool(self.providers or self.provider_models or self.models or self.nameless)

    def findings(self) -> dict[str, Columns]:
        """Return the columns at fault by the name of the resource; of rows without one by their table's."""
        return {
            **{f"providers/{key}": columns for key, columns in self.providers.items()},
            **{
                f"providers/{provider}/models/{model}": columns
                for (provider, model), columns in self.provider_models.items()
            },
            **{f"models/{key}": columns for key, columns in self.models.items()},
            **{f"table {table}": columns for table, columns in self.tables().items()},
        }

    def tables(self) -> dict[str, Columns]:
        """Return the columns at fault of rows without a resource, by table."""
        return {**self.nameless, **self.others}

    def copy(self) -> Unsound:
        """Return one for a unit that writes, which may mend a provider."""
        return replace(self, providers=dict(self.providers)) if self else self

    def mend(self, provider_id: str) -> None:
        """Count a provider as sound for the rest of the unit that this is the copy of."""
        if provider_id in self.providers:
            cast(dict[str, Columns], self.providers).pop(provider_id)

    def offers(self, key: ProviderModelKey) -> bool:
        """Return whether neither this provider model nor its provider is unsound."""
        return key not in self.provider_models and key[0] not in self.providers

    def sound_provider(self, column: Texts = ProviderRow.provider_id) -> ColumnElement[bool]:
        """Return the condition of providers that can be read."""
        return _all_but(self, ProviderIdShaped(column), among(column, self.providers))

    def sound_provider_model(
        self,
        provider_id: Texts = ProviderModelRow.provider_id,
        model_id: Texts = ProviderModelRow.model_id,
    ) -> ColumnElement[bool]:
        """Return the condition of provider models that can be read, whatever their providers are."""
        named = and_(ProviderIdShaped(provider_id), ModelIdShaped(model_id))
        return _all_but(self, named, pair_among(provider_id, model_id, self.provider_models))

    def sound_model(self, column: Texts = ModelRow.model_id) -> ColumnElement[bool]:
        """Return the condition of models that can be read."""
        return _all_but(self, ModelIdShaped(column), among(column, self.models))

    def offered(self, provider_id: Texts, model_id: Texts) -> ColumnElement[bool]:
        """Return the condition of provider models that can be read, and whose providers can be."""
        if not self:
            return true()
        return and_(self.sound_provider(provider_id), self.sound_provider_model(provider_id, model_id))


def _all_but(unsound: Unsound, named: ColumnElement[bool], those: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(named, not_(those)) if unsound else true()


NOTHING_UNSOUND = Unsound()


def find(session: Session, only: Unsound | None = None) -> Unsound:
    """Return what is unsound: of all rows, or of those that were unsound before."""
    nameless: Nameless = defaultdict(set)
    if only is None:
        providers = corrupt_providers(session, None, nameless)
        provider_models = corrupt_provider_models(session, None, nameless)
        models = corrupt_models(session, None, nameless)
    else:
        providers = corrupt_providers(session, only.providers)
        provider_models = corrupt_provider_models(session, only.provider_models)
        models = corrupt_models(session, only.models)
    return Unsound(
        {each.provider_id: each.unreadable for each in providers},
        {(each.provider_id, each.model_id): each.unreadable for each in provider_models},
        {each.model_id: each.unreadable for each in models},
        {table: tuple(sorted(columns)) for table, columns in nameless.items()}
        if only is None
        else only.nameless,
        _others(session) if only is None else only.others,
    )


def _others(session: Session) -> dict[str, Columns]:
    found = {}
    for of in _OTHERS:
        with any_text(session):
            faults = {fault for row in _raw(session, of, true()) for fault in _read(of, row)[1]}
        if faults:
            found[of.__tablename__] = tuple(sorted(faults))
    return found


def corrupt_providers(
    session: Session, keys: Collection[str] | None, nameless: Nameless | None = None
) -> list[Provider]:
    """Return those of these providers, or of all, that cannot be read, with what can be; by id."""
    if keys is not None and not keys:
        return []
    where = true() if keys is None else among(ProviderRow.provider_id, keys)
    held = true() if keys is None else among(CredentialRow.provider_id, keys)
    with any_text(session):
        credentials = {row["provider_id"]: row for row in _raw(session, CredentialRow, held)}
        used = true() if keys is None else DataKeyRow.dek_id.in_(select(CredentialRow.dek_id).where(held))
        data_keys = {row["dek_id"]: row for row in _raw(session, DataKeyRow, used)}
        found = []
        for row in _raw(session, ProviderRow, where):
            values, faults = _read(ProviderRow, row)
            if "provider_id" not in values:
                _note(nameless, "providers", faults)
                continue
            raw = credentials.get(row["provider_id"])
            credential: dict[str, Any] | None = None
            if raw is not None:
                credential, theirs = _read(CredentialRow, raw)
                faults += theirs
                data_key = data_keys.get(raw["dek_id"])
                faults += ["credentials.dek_id"] if data_key is None else _read(DataKeyRow, data_key)[1]
            faults = faults or _misfit(
                partial(provider_from_rows, _row(values), None if credential is None else _row(credential))
            )
            if faults:
                found.append(_provider(values, credential, faults))
    return sorted(found, key=lambda each: each.provider_id)


def corrupt_provider_models(
    session: Session, keys: Collection[ProviderModelKey] | None, nameless: Nameless | None = None
) -> list[ProviderModel]:
    """Return those of these provider models, or of all, that cannot be read, with what can be; by id."""
    if keys is not None and not keys:
        return []
    where = (
        true() if keys is None else pair_among(ProviderModelRow.provider_id, ProviderModelRow.model_id, keys)
    )
    found = []
    sound = _Glance(ProviderModelRow, {"pricing": pricing_of, "imported": imported_of})
    with any_text(session):
        for row in _raw(session, ProviderModelRow, where, sound):
            values, faults = _read(ProviderModelRow, row)
            if "provider_id" not in values or "model_id" not in values:
                _note(nameless, "provider_models", faults)
                continue
            faults = faults or _misfit(partial(provider_model_from_row, _row(values)))
            if faults:
                found.append(_provider_model(values, faults))
    return sorted(found, key=lambda each: (each.provider_id, each.model_id))


def corrupt_models(
    session: Session, keys: Collection[str] | None, nameless: Nameless | None = None
) -> list[Model]:
    """Return those of these models, or of all, that cannot be read, with what can be; by id."""
    if keys is not None and not keys:
        return []
    where = true() if keys is None else among(ModelRow.model_id, keys)
    wired = true() if keys is None else among(BackendRow.model_id, keys)
    backends: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    broken: defaultdict[Any, list[str]] = defaultdict(list)
    found = []
    with any_text(session):
        for row in _raw(session, BackendRow, wired):
            values, faults = _read(BackendRow, row)
            if faults:
                broken[row["model_id"]] += faults
            else:
                backends[row["model_id"]].append(values)
        for row in _raw(session, ModelRow, where):
            values, faults = _read(ModelRow, row)
            if "model_id" not in values:
                _note(nameless, "models", faults)
                continue
            faults += broken[row["model_id"]]
            if faults:
                found.append(_model(values, backends[row["model_id"]], faults))
    return sorted(found, key=lambda each: each.model_id)


def sound_rows(session: Session, of: type[Base]) -> list[Any]:
    """Return the rows of a table that can be read, with its columns as attributes."""
    with any_text(session):
        read = [_read(of, row) for row in _raw(session, of, true())]
    return [_row(values) for values, faults in read if not faults]


def find_presence(session: Session, *, drop: bool) -> dict[str, Columns]:
    """Return the columns at fault of routers and replicas, by table; ``drop`` deletes their rows."""
    place: ColumnElement[Any] = literal_column(
        "rowid" if session.get_bind().dialect.name == "sqlite" else "ctid::text"
    )
    unreadable = {}
    for of in _PRESENCE:
        table = cast(Table, of.__table__)
        stored = as_stored(table.columns)
        with any_text(session):
            rows = session.execute(select(place.label("place"), *stored).select_from(table)).all()
        faults = {row.place: _read(of, cast(Mapping[str, Any], row._mapping))[1] for row in rows}
        bad = [where for where, columns in faults.items() if columns]
        if bad:
            if drop:
                session.execute(delete(table).where(place.in_(bad)))
            found = {column for columns in faults.values() for column in columns}
            unreadable[of.__tablename__] = tuple(sorted(found))
    return unreadable


def faults_of(session: Session, of: type[Base]) -> list[str]:
    """Return the columns of a table that hold what cannot be read, and the table's name where it is empty."""
    with any_text(session):
        rows = list(_raw(session, of, true()))
        faults = [fault for row in rows for fault in _read(of, row)[1]]
    return faults if rows else [f"{of.__tablename__} (its row is gone)"]


@contextmanager
def any_text(session: Session) -> Iterator[None]:
    """Let SQLite return texts that are not UTF-8, with surrogates in them; they fail their type's check."""
    if session.get_bind().dialect.name != "sqlite":
        yield
        return
    connection = cast(Any, session.connection().connection.dbapi_connection)
    connection.text_factory = lambda octets: octets.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        connection.text_factory = str


class _Glance:
    """Tells of a row, a fast way, that it can be read: a table of 100,000 has few that cannot be.

    ``forms`` read what columns of JSON are made of. A False means that the row must be read value by value.
    Texts that were read before are remembered: most columns have few. Numbers are not, as 1.0 equals 1.
    """

    def __init__(self, of: type[Base], forms: Mapping[str, Callable[[Any], object]]) -> None:
        self._columns: list[tuple[Callable[[Any], object], bool, set[str]]] = [
            (_reader(column, forms.get(column.name)), bool(column.nullable), set())
            for column in cast(Table, of.__table__).columns
        ]

    def __call__(self, row: Iterable[Any]) -> bool:
        try:
            for (read, nullable, known), stored in zip(self._columns, row, strict=True):
                if type(stored) is str:
                    if stored not in known:
                        read(stored)
                        if len(known) < _KNOWN_TEXTS:
                            known.add(stored)
                elif stored is not None or not nullable:
                    read(stored)
        except Unreadable:
            return False
        return True


def _reader(column: Column[Any], form: Callable[[Any], object] | None) -> Callable[[Any], object]:
    read = cast(Any, column.type).read
    return read if form is None else lambda stored: form(read(stored))


def _nothing_known(_row: Iterable[Any]) -> bool:
    """Say of no row that it can be read."""
    return False


def _raw(
    session: Session,
    of: type[Base],
    where: ColumnElement[bool],
    skip: Callable[[Iterable[Any]], bool] = _nothing_known,
) -> Iterator[dict[str, Any]]:
    """Yield rows as the database has them, by column, without those of which ``skip`` is true."""
    columns = cast(Table, of.__table__).columns
    statement = select(*as_stored(columns)).where(where)
    names = [column.name for column in columns]
    for row in session.execute(statement, execution_options={"yield_per": _BATCH}):
        if not skip(row):
            yield dict(zip(names, row, strict=True))


def _read(of: type[Base], row: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the values that can be read, by column, and the columns that cannot be."""
    values: dict[str, Any] = {}
    faults = []
    for name, read, nullable in _readers(of):
        stored = row[name]
        try:
            if stored is not None:
                values[name] = read(stored)
            elif nullable:
                values[name] = None
            else:
                raise Unreadable
        except Unreadable:
            faults.append(f"{of.__tablename__}.{name}")
    return values, faults


@cache
def _readers(of: type[Base]) -> tuple[tuple[str, Callable[[Any], object], bool], ...]:
    """Return each column's name, how it is read, and whether it may be NULL."""
    columns = cast(Table, of.__table__).columns
    return tuple((column.name, cast(Any, column.type).read, bool(column.nullable)) for column in columns)


def _misfit(build: Callable[[], object]) -> list[str]:
    """Return the columns that can be read each by itself, and do not go together."""
    try:
        build()
    except Unreadable as error:
        return list(error.columns)
    return []


def _row(values: Mapping[str, Any]) -> Any:
    return SimpleNamespace(**values)


def _note(nameless: Nameless | None, table: str, faults: Iterable[str]) -> None:
    if nameless is not None:
        nameless[table].update(faults)


def _unreadable(faults: Iterable[str]) -> Columns:
    return tuple(dict.fromkeys(faults))


def _provider(values: Mapping[str, Any], credential: Mapping[str, Any] | None, faults: list[str]) -> Provider:
    settings_at_fault = "providers.config" in faults
    return Provider(
        provider_id=values["provider_id"],
        uid=values.get("uid", _NO_UUID),
        display_name=values.get("display_name", ""),
        kind=values.get("kind", ProviderKind.OPENAI),
        state=State.CORRUPT,
        create_time=values.get("create_time", _NO_TIME),
        update_time=values.get("update_time", _NO_TIME),
        config=ProviderConfig()
        if settings_at_fault or "kind" not in values
        else ProviderConfig(values.get("config", {}), values.get("headers", {})),
        credential=None if credential is None else _credential(values, credential),
        labels=values.get("labels", {}),
        annotations=values.get("annotations", {}),
        revision=values.get("revision", 0),
        etag=values.get("etag", ""),
        unreadable=_unreadable(faults),
    )


def _credential(provider: Mapping[str, Any], values: Mapping[str, Any]) -> CredentialView:
    """Return what can be shown of a credential.

    Its version is never lower than it was: routers must not take the next credential for this one. Each
    replacement took a revision, so that the provider's revision is a bound.
    """
    return CredentialView(
        type=values.get("type", CredentialType.API_KEY),
        prefix=values.get("prefix", ""),
        version=values.get("version", provider.get("revision", 0)),
        update_time=values.get("update_time", _NO_TIME),
        expire_time=values.get("expire_time"),
    )


def _provider_model(values: Mapping[str, Any], faults: list[str]) -> ProviderModel:
    return ProviderModel(
        provider_id=values["provider_id"],
        model_id=values["model_id"],
        uid=values.get("uid", _NO_UUID),
        facts=ModelFacts(
            upstream_model_id=values.get("upstream_model_id", ""),
            display_name=values.get("display_name", ""),
            kind=values.get("kind", ModelKind.CHAT),
            context_window=values.get("context_window", 0),
            max_output_tokens=values.get("max_output_tokens", 0),
            embedding_dimensions=values.get("embedding_dimensions", 0),
            capabilities=tuple(values.get("capabilities", ())),
            retire_time=values.get("retire_time"),
            needs_review=values.get("needs_review", False),
        ),
        state=State.CORRUPT,
        source=values.get("source", ModelSource.CUSTOM),
        create_time=values.get("create_time", _NO_TIME),
        update_time=values.get("update_time", _NO_TIME),
        catalog_version=values.get("catalog_version", ""),
        overridden_fields=tuple(values.get("overridden_fields", ())),
        labels=values.get("labels", {}),
        revision=values.get("revision", 0),
        etag=values.get("etag", ""),
        unreadable=_unreadable(faults),
    )


def _model(values: Mapping[str, Any], backends: Sequence[Mapping[str, Any]], faults: list[str]) -> Model:
    sound = {
        "uid": _NO_UUID,
        "display_name": "",
        "description": "",
        "kind": ModelKind.CHAT,
        "create_time": _NO_TIME,
        "update_time": _NO_TIME,
        "labels": {},
        "annotations": {},
        "revision": 0,
        "etag": "",
        **values,
        "state": State.CORRUPT,
    }
    model = model_from_rows(_row(sound), [_row(backend) for backend in backends])
    return replace(model, unreadable=_unreadable(faults))
