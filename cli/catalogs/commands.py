"""``providerctl catalog``: which releases are bundled, what is in one, and what differs between two."""

from __future__ import annotations

from collections.abc import Iterator

from codevector.providers.v1 import catalog_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.message import Message

from cli.messages import as_json
from cli.providers.kinds import kind_word
from cli.resources.lists import every
from cli.resources.names import catalog_name, short
from cli.resources.views import Field, View, show_list, word
from cli.session import Session
from cli.terminal.output import Cell, Column, OutputFormat, Section, Tone
from cli.times import shown

CATALOGS: View[catalog_pb2.Catalog] = View(
    catalog_pb2.Catalog,
    (
        Field("catalog", lambda each: short(each.name), whole=True),
        Field("kind", lambda each: kind_word(each.kind)),
        Field("release", lambda each: each.version),
        Field("models", lambda each: each.model_count),
        Field("released", lambda each: shown(each.release_time), wide=True),
        Field("digest", lambda each: each.digest, wide=True),
    ),
)
MODELS: View[catalog_pb2.CatalogModel] = View(
    catalog_pb2.CatalogModel,
    (
        Field("upstream id", lambda each: each.upstream_model_id, whole=True),
        Field("kind", lambda each: word(each, "kind")),
        Field("context", lambda each: each.context_window),
        Field("max output", lambda each: each.max_output_tokens),
        Field("price in/out", lambda each: _price(each)),
        Field("retires", lambda each: shown(each.retire_time)[:10]),
        Field("review", lambda each: Cell("needed", Tone.WARNING) if each.needs_review else ""),
        Field("display name", lambda each: each.display_name, wide=True),
    ),
)


def list_(session: Session, *, columns: str) -> None:
    """Print the newest release of each catalog."""
    rpc = session.registry.providers.ListCatalogs
    show_list(
        session, CATALOGS, every(session, rpc, pb.ListCatalogsRequest(), lambda page: page.catalogs), columns
    )


def show(session: Session, *, catalog: str, catalog_version: str, columns: str) -> None:
    """Print the models of a release."""
    release = _read(session, catalog, catalog_version)
    wide = session.terminal.output is OutputFormat.WIDE
    session.terminal.show(
        as_json(release),
        MODELS.section(release.models, columns, wide=wide),
        names=[model.upstream_model_id for model in release.models],
    )
    session.terminal.say(f"{release.name} {release.version}: {len(release.models)} models", Tone.QUIET)


def diff(session: Session, *, catalog: str, from_: str, to: str) -> None:
    """Print what changes from one release to another."""
    old, new = _read(session, catalog, from_), _read(session, catalog, to)
    changes = list(_changes(old, new))
    tones = {"added": Tone.GOOD, "removed": Tone.BAD, "changed": Tone.WARNING}
    session.terminal.show(
        [
            {"upstreamModelId": model, "change": change, "field": field, "from": before, "to": after}
            for model, change, field, before, after in changes
        ],
        Section(
            "",
            (Column("upstream id", whole=True), "change", "field", "from", "to"),
            [
                (model, Cell(change, tones[change]), field, before, after)
                for model, change, field, before, after in changes
            ],
        ),
        names=sorted({change[0] for change in changes}),
    )
    session.terminal.say(f"{old.name}: {old.version} to {new.version}, {len(changes)} changes", Tone.QUIET)


def _read(session: Session, name: str, version: str) -> catalog_pb2.Catalog:
    request = pb.GetCatalogRequest(name=catalog_name(name), catalog_version=version)
    return session.registry.call(session.registry.providers.GetCatalog, request)


def _changes(old: catalog_pb2.Catalog, new: catalog_pb2.Catalog) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield model, kind of change, field, and its values before and after, by model."""
    before = {model.upstream_model_id: model for model in old.models}
    after = {model.upstream_model_id: model for model in new.models}
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield name, "added", "", "", ""
        elif name not in after:
            yield name, "removed", "", "", ""
        else:
            for field in after[name].DESCRIPTOR.fields:
                texts = _text(before[name], field.name), _text(after[name], field.name)
                if texts[0] != texts[1]:
                    yield name, "changed", field.name, *texts


def _text(model: catalog_pb2.CatalogModel, field: str) -> str:
    value = as_json(model).get(model.DESCRIPTOR.fields_by_name[field].json_name, "")
    if isinstance(getattr(model, field), Message) and isinstance(value, dict):
        return ",".join(f"{name}={each}" for name, each in value.items() if each not in ("", []))
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _price(model: catalog_pb2.CatalogModel) -> str:
    price = model.pricing
    if not price.currency_code:
        return ""
    parts = (price.input_per_million_tokens or "-", price.output_per_million_tokens or "-")
    return f"{'/'.join(parts)} {price.currency_code}"
