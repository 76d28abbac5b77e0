"""Lists as SQL: what may be filtered and ordered by, filters as conditions, and keyset pages.

A filter's condition is true of exactly the rows of which `service.domain.filters.matches` is: each
comparison is true or false and never NULL, so that NOT means the same in both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Text,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.types import TypeDecorator, TypeEngine

from service.domain.filters import And, Comparison, Expression, FilterType, Not, Op, Or, Word
from service.domain.lists import OrderBy
from service.domain.model import ProviderKind, State, UnroutableReason
from service.domain.pages import Key
from service.domain.routing import credential_required
from service.store.columns import Code
from service.store.rows import BackendRow, CredentialRow, ModelRow, ProviderModelRow, ProviderRow
from service.store.sql import Contains, Member, among, pair_among
from service.store.units.writing import FRESH
from service.store.unsound import Unsound

S = TypeVar("S", bound=Select[*tuple[Any, ...]])
V = TypeVar("V")

Position = tuple[Key, ...]
"""Where a row stands in an order: its values of the columns of the order, which end with its id."""


@dataclass(frozen=True, slots=True)
class Slice(Generic[V]):
    """Rows of a list that follow one another. ``next`` is where the next slice begins, None at the end."""

    items: list[V]
    next: Position | None = None


_KINDS_WITHOUT_CREDENTIAL = [kind for kind in ProviderKind if not credential_required(kind)]

_CREDENTIAL_SUFFICES: ColumnElement[bool] = or_(
    CredentialRow.provider_id.is_not(None),
    ProviderRow.kind.in_(_KINDS_WITHOUT_CREDENTIAL),
)
PROVIDER_ROUTABLE: ColumnElement[bool] = and_(ProviderRow.state == State.ACTIVE, _CREDENTIAL_SUFFICES)
"""`service.domain.routing.provider_routable` over providers LEFT JOIN credentials."""

_UNROUTABLE_REASON: ColumnElement[Any] = type_coerce(
    case(
        (ProviderRow.state != State.ACTIVE, int(UnroutableReason.DISABLED)),
        (not_(_CREDENTIAL_SUFFICES), int(UnroutableReason.NO_CREDENTIAL)),
    ),
    Code(UnroutableReason),
)
"""`service.domain.routing.unroutable_reason` over the same."""

PROVIDER_MODEL_ROUTABLE: ColumnElement[bool] = and_(ProviderModelRow.state == State.ACTIVE, PROVIDER_ROUTABLE)
"""`domain.routing.provider_model_routable` over provider_models JOIN providers LEFT JOIN credentials."""


def model_routable(offered: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return `service.domain.model.ModelView.is_routable` over models; ``offered`` is true of backends."""
    return and_(
        ModelRow.state == State.ACTIVE,
        exists()
        .where(BackendRow.model_id == ModelRow.model_id, not_(BackendRow.disabled), offered)
        .where(
            ProviderModelRow.provider_id == BackendRow.provider_id,
            ProviderModelRow.model_id == BackendRow.provider_model_id,
            ProviderRow.provider_id == BackendRow.provider_id,
            ProviderModelRow.state == State.ACTIVE,
            ProviderRow.state == State.ACTIVE,
            or_(
                ProviderRow.kind.in_(_KINDS_WITHOUT_CREDENTIAL),
                exists().where(CredentialRow.provider_id == BackendRow.provider_id).correlate(BackendRow),
            ),
        )
        .correlate(ModelRow),
    )


_Column = ColumnElement[Any] | InstrumentedAttribute[Any]


@dataclass(frozen=True, slots=True)
class ListShape:
    """What one list may be filtered and ordered by. ``id_columns`` order it by name, and end every order."""

    filters: Mapping[str, _Column]
    orders: Mapping[str, _Column]
    id_columns: tuple[_Column, ...]

    def columns(self, order_by: OrderBy) -> list[tuple[_Column, bool]]:
        """Return the columns of a total order, each with whether it descends.

        The ids end it in the direction of what comes before, so that an index can be read either way.
        """
        columns: list[tuple[_Column, bool]] = []
        for term in order_by:
            if term.field == "name":
                return [*columns, *((column, term.descending) for column in self.id_columns)]
            columns.append((self.orders[term.field], term.descending))
        return [*columns, *((column, columns[-1][1]) for column in self.id_columns)]


_PROVIDER_NAME = literal("providers/", Text()) + ProviderRow.provider_id

PROVIDERS = ListShape(
    filters=MappingProxyType(
        {
            "name": _PROVIDER_NAME,
            "display_name": ProviderRow.display_name_key,
            "kind": ProviderRow.kind,
            "state": ProviderRow.state,
            "routable": PROVIDER_ROUTABLE,
            "unroutable_reason": _UNROUTABLE_REASON,
            "credential": CredentialRow.provider_id,
            "credential.expire_time": CredentialRow.expire_time,
            "labels": ProviderRow.labels,
            "create_time": ProviderRow.create_time,
        }
    ),
    orders=MappingProxyType(
        {
            "display_name": ProviderRow.display_name_key,
            "create_time": ProviderRow.create_time,
            "update_time": ProviderRow.update_time,
            "kind": ProviderRow.kind,
        }
    ),
    id_columns=(ProviderRow.provider_id,),
)

PROVIDER_MODELS = ListShape(
    filters=MappingProxyType(
        {
            "name": _PROVIDER_NAME + "/models/" + ProviderModelRow.model_id,
            "upstream_model_id": ProviderModelRow.upstream_model_id,
            "display_name": ProviderModelRow.display_name_key,
            "kind": ProviderModelRow.kind,
            "state": ProviderModelRow.state,
            "source": ProviderModelRow.source,
            "catalog_version": ProviderModelRow.catalog_version,
            "routable": PROVIDER_MODEL_ROUTABLE,
            "needs_review": ProviderModelRow.needs_review,
            "context_window": ProviderModelRow.context_window,
            "capabilities": ProviderModelRow.capabilities,
            "retire_time": ProviderModelRow.retire_time,
            "labels": ProviderModelRow.labels,
        }
    ),
    orders=MappingProxyType(
        {
            "display_name": ProviderModelRow.display_name_key,
            "upstream_model_id": ProviderModelRow.upstream_model_id,
            "create_time": ProviderModelRow.create_time,
            "update_time": ProviderModelRow.update_time,
            "kind": ProviderModelRow.kind,
            "context_window": ProviderModelRow.context_window,
        }
    ),
    id_columns=(ProviderModelRow.provider_id, ProviderModelRow.model_id),
)

MODELS = ListShape(
    filters=MappingProxyType(
        {
            "name": literal("models/", Text()) + ModelRow.model_id,
            "display_name": ModelRow.display_name_key,
            "kind": ModelRow.kind,
            "state": ModelRow.state,
            "routable": model_routable(true()),
            "backends.provider_model": ModelRow.model_id,
            "labels": ModelRow.labels,
        }
    ),
    orders=MappingProxyType(
        {
            "display_name": ModelRow.display_name_key,
            "create_time": ModelRow.create_time,
            "update_time": ModelRow.update_time,
            "kind": ModelRow.kind,
        }
    ),
    id_columns=(ModelRow.model_id,),
)


def guarded(shape: ListShape, unsound: Unsound) -> ListShape:
    """Return the shape over rows of which some cannot be read, so that it never looks at what is at fault.

    A filter sees of a corrupt resource what the API shows of it; an order takes what is at fault as least.
    """
    if not unsound:
        return shape
    corrupt, offered, columns_of = _corrupt_rows(shape, unsound)

    def at_fault(column: _Column) -> ColumnElement[bool] | None:
        keys = columns_of.get(str(getattr(column, "expression", column)), ())
        return _is_one_of(shape, keys) if keys else None

    def shown(column: _Column) -> _Column:
        bad = at_fault(column)
        return column if bad is None else type_coerce(case((bad, null()), else_=column), column.type)

    def least(column: _Column) -> _Column:
        bad = at_fault(column)
        if bad is None:
            return column
        nothing = literal("" if isinstance(_storage_type(column), Text) else 0, _storage_type(column))
        return type_coerce(case((bad, nothing), else_=column), column.type)

    filters = {name: shown(column) for name, column in shape.filters.items()}
    state = shape.filters["state"]
    filters["state"] = type_coerce(case((corrupt, int(State.CORRUPT)), else_=state), Code(State))
    routable = shape.filters["routable"]
    if shape is MODELS:
        routable = model_routable(unsound.offered(BackendRow.provider_id, BackendRow.provider_model_id))
    filters["routable"] = and_(offered, routable)
    if "unroutable_reason" in filters:
        reason = case((corrupt, int(UnroutableReason.CORRUPT)), else_=shape.filters["unroutable_reason"])
        filters["unroutable_reason"] = type_coerce(reason, Code(UnroutableReason))
    return replace(
        shape, filters=filters, orders={name: least(column) for name, column in shape.orders.items()}
    )


def _corrupt_rows(
    shape: ListShape, unsound: Unsound
) -> tuple[ColumnElement[bool], ColumnElement[bool], Mapping[str, Sequence[Any]]]:
    """Return the conditions of rows that are corrupt and of those that may be offered; and keys by column."""
    by_key: Mapping[Any, Sequence[str]]
    if shape is PROVIDERS:
        by_key, offered = unsound.providers, unsound.sound_provider()
    elif shape is PROVIDER_MODELS:
        by_key = unsound.provider_models
        offered = unsound.offered(ProviderModelRow.provider_id, ProviderModelRow.model_id)
    else:
        by_key, offered = unsound.models, unsound.sound_model()
    columns_of: defaultdict[str, list[Any]] = defaultdict(list)
    for key, columns in by_key.items():
        for column in columns:
            columns_of[column].append(key)
    return _is_one_of(shape, by_key), offered, columns_of


def _is_one_of(shape: ListShape, keys: Iterable[Any]) -> ColumnElement[bool]:
    ids = shape.id_columns
    return among(ids[0], keys) if len(ids) == 1 else pair_among(ids[0], ids[1], keys)


def filtered(statement: S, shape: ListShape, keep: Expression | None) -> S:
    """Return the statement over the rows that match."""
    return statement if keep is None else statement.where(condition(shape, keep))


def read_page(
    session: Session,
    statement: S,
    shape: ListShape,
    keep: Expression | None,
    order_by: OrderBy,
    after: Position | None,
    limit: int,
) -> tuple[list[Row[*tuple[Any, ...]]], Position | None]:
    """Return at most ``limit`` rows that match, in order, after the position ``after``; and `Slice.next`.

    Each row ends with its position, as it is stored.
    """
    statement = filtered(statement, shape, keep)
    if after is not None:
        statement = statement.where(_after(shape, order_by, after))
    columns = shape.columns(order_by)
    paged = (
        statement.add_columns(
            *(
                type_coerce(each, _storage_type(each)).label(f"place_{n}")
                for n, (each, _) in enumerate(columns)
            )
        )
        .order_by(*(each.desc() if descending else each.asc() for each, descending in columns))
        .limit(limit + 1)
    )
    rows = list(session.execute(paged, execution_options=FRESH))
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], tuple(rows[limit - 1][-len(columns) :])


def _after(shape: ListShape, order_by: OrderBy, after: Position) -> ColumnElement[bool]:
    """Return the condition of the rows that come after a position in this order.

    In one direction it compares whole positions, which is where a database begins to read an index. Else it
    begins with the ties of the first column.
    """
    columns = shape.columns(order_by)
    values = [
        literal(plain, _storage_type(column)) for (column, _), plain in zip(columns, after, strict=True)
    ]
    if len({descending for _, descending in columns}) == 1:
        place, position = tuple_(*(column for column, _ in columns)), tuple_(*values)
        return place < position if columns[0][1] else place > position
    rest: ColumnElement[bool] = false()
    for (column, descending), value in zip(reversed(columns), reversed(values), strict=True):
        rest = or_(column < value if descending else column > value, and_(column == value, rest))
    (first, descending), begin = columns[0], values[0]
    return and_(first <= begin if descending else first >= begin, rest)


def _storage_type(column: _Column) -> TypeEngine[Any]:
    """Return how a column's values are stored, and stand in positions: times and enums as plain numbers."""
    return column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type


def condition(shape: ListShape, expression: Expression) -> ColumnElement[bool]:
    """Return the condition that is true of exactly the rows that match."""
    match expression:
        case Comparison():
            return _comparison(shape.filters[expression.field.name], expression)
        case Word(field, text):
            return _contains(field.type, shape.filters[field.name], text)
        case Not(term):
            return not_(condition(shape, term))
        case And(terms):
            return and_(*(condition(shape, term) for term in terms))
        case Or(terms):
            return or_(*(condition(shape, term) for term in terms))


def _comparison(column: _Column, comparison: Comparison) -> ColumnElement[bool]:
    op, value = comparison.op, comparison.value
    if comparison.field.type is FilterType.BOOL:
        wanted = (op is Op.EQ) == value
        return and_(column) if wanted else not_(column)
    if comparison.field.type is FilterType.PATHS:
        return _wired(column, value)
    if comparison.field.type is FilterType.MEMBERS:
        return _has_member(column, value)
    if comparison.field.type is FilterType.LABELS:
        column = Member(column, comparison.key)
    present = column.is_not(None)
    if value is None:
        return present
    if comparison.prefix:
        return _begins(column, comparison)
    if op is Op.HAS:
        return and_(present, _contains(comparison.field.type, column, str(value)))
    if op is Op.NE:
        return or_(column.is_(None), column != value)
    return and_(present, _COMPARE[op](column, value))


_COMPARE: Mapping[Op, Callable[[_Column, object], ColumnElement[bool]]] = MappingProxyType(
    {
        Op.EQ: lambda column, value: column == value,
        Op.LT: lambda column, value: column < value,
        Op.LE: lambda column, value: column <= value,
        Op.GT: lambda column, value: column > value,
        Op.GE: lambda column, value: column >= value,
    }
)


def _has_member(column: _Column, member: object) -> ColumnElement[bool]:
    """Return whether a column's JSON list of numbers has one: any (None), or this."""
    numbers = type_coerce(column, Text())
    if not isinstance(member, int):
        return numbers != "[]"
    return Contains(func.replace(func.replace(numbers, "[", ","), "]", ","), f",{int(member)},")


def _begins(column: _Column, comparison: Comparison) -> ColumnElement[bool]:
    beginning = str(comparison.value)
    present = column.is_not(None)
    if comparison.op is Op.HAS and comparison.field.type is FilterType.STRING:
        column = func.lower(column)
    begins = and_(present, func.substr(column, 1, len(beginning)) == beginning)
    return not_(begins) if comparison.op is Op.NE else begins


def _wired(model_id: _Column, place: object) -> ColumnElement[bool]:
    """Match models with a backend: any (None), to a provider model, or to one of a provider."""
    wires = exists().where(BackendRow.model_id == model_id)
    match str(place).split("/"):
        case _ if place is None:
            return wires
        case ["providers"]:
            return wires
        case ["providers", provider_id]:
            return wires.where(BackendRow.provider_id == provider_id)
        case ["providers", provider_id, "models"]:
            return wires.where(BackendRow.provider_id == provider_id)
        case ["providers", provider_id, "models", provider_model_id]:
            return wires.where(
                BackendRow.provider_id == provider_id, BackendRow.provider_model_id == provider_model_id
            )
    return false()


def _contains(kind: FilterType, column: _Column, text: str) -> ColumnElement[bool]:
    """``text`` is folded, and a NAME's column is too. What else is searched is ASCII: lower() folds it."""
    return Contains(column if kind is FilterType.NAME else func.lower(column), text)
