"""``providerctl provider``: list, show, change and delete upstream accounts."""

from __future__ import annotations

from codevector.providers.v1 import provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from cli.messages import as_json
from cli.providers.kinds import kind_word, kinds
from cli.resources import deletion
from cli.resources.lists import every, order_by
from cli.resources.names import provider_name, short
from cli.resources.views import (
    Field,
    View,
    pairs,
    show_list,
    show_one,
    show_written,
    state_cell,
    word,
    yes_or_no,
)
from cli.session import Session
from cli.terminal.output import Cell, Column, Section, Tone
from cli.times import shown

PROVIDERS: View[provider_pb2.Provider] = View(
    provider_pb2.Provider,
    (
        Field("provider", lambda each: short(each.name), whole=True),
        Field("kind", lambda each: kind_word(each.kind)),
        Field("state", state_cell),
        Field("routable", lambda each: yes_or_no(each.routable)),
        Field("reason", lambda each: word(each, "unroutable_reason").replace("_", " ")),
        Field("credential", lambda each: _credential(each)),
        Field("models", lambda each: f"{each.active_model_count}/{each.model_count}"),
        Field("details", lambda each: each.details),
        Field("display name", lambda each: each.display_name, wide=True),
        Field("labels", lambda each: pairs(each.labels), wide=True),
        Field("expires", lambda each: shown(each.credential.expire_time), wide=True),
        Field("created", lambda each: shown(each.create_time), wide=True),
        Field("updated", lambda each: shown(each.update_time), wide=True),
        Field("revision", lambda each: str(each.revision), wide=True),
    ),
)


def list_(session: Session, *, filter_: str, sort: str, columns: str) -> None:
    """Print the providers."""
    request = pb.ListProvidersRequest(filter=filter_, order_by=order_by(sort))
    found = every(session, session.registry.providers.ListProviders, request, lambda page: page.providers)
    show_list(session, PROVIDERS, found, columns)


def get(session: Session, *, name: str) -> None:
    """Print one provider."""
    show_one(session, PROVIDERS, read(session, name))


def enable(session: Session, *, name: str, dry_run: bool) -> None:
    """Let routers use the provider."""
    request = pb.EnableProviderRequest(name=provider_name(name), validate_only=dry_run)
    changed = session.registry.call(session.registry.providers.EnableProvider, request)
    show_written(session, PROVIDERS, changed, "enabled", dry_run=dry_run)


def disable(session: Session, *, name: str, dry_run: bool) -> None:
    """Keep routers from using the provider."""
    request = pb.DisableProviderRequest(name=provider_name(name), validate_only=dry_run)
    changed = session.registry.call(session.registry.providers.DisableProvider, request)
    show_written(session, PROVIDERS, changed, "disabled", dry_run=dry_run)


def delete(session: Session, *, name: str, yes: bool, impact_token: str, dry_run: bool) -> None:
    """Delete the provider with its credential and its models."""
    full = provider_name(name)

    def call(preview: bool, token: str) -> pb.DeleteProviderResponse:
        request = pb.DeleteProviderRequest(name=full, force=True, validate_only=preview, impact_token=token)
        return session.registry.call(session.registry.providers.DeleteProvider, request)

    deletion.delete(session, [full], call, yes=yes, impact_token=impact_token, dry_run=dry_run)


def kinds_(session: Session, *, kind: str) -> None:
    """Print the kinds of provider, or the fields of one."""
    found = kinds(session)
    if not kind:
        session.terminal.show(
            [as_json(each) for each in found],
            Section(
                "",
                (Column("kind", whole=True), "name", "credential", "catalog", "about"),
                [
                    (
                        kind_word(each.kind),
                        each.display_name,
                        ", ".join(form.field for form in each.credential_forms)
                        + ("" if each.credential_required else " (optional)"),
                        each.catalog_version or "none",
                        each.description,
                    )
                    for each in found
                ],
            ),
            names=[kind_word(each.kind) for each in found],
        )
        return
    one = found.named(kind)
    fields = [("--set", field) for field in one.config_fields]
    for form in one.credential_forms:
        fields += [(f"credential {form.field}", field) for field in form.fields]
    session.terminal.show(
        as_json(one),
        Section(
            f"{one.display_name}: {one.description}".rstrip("."),
            ("where", Column("field", whole=True), "required", "default or example", "what it is"),
            [
                (
                    where,
                    field.field,
                    Cell("yes", Tone.WARNING) if field.required else "no",
                    field.default_value or field.suggested_value or field.placeholder,
                    " ".join(part for part in (field.help_text, field.validation_text) if part)
                    or field.label,
                )
                for where, field in fields
            ],
        ),
        names=[kind_word(one.kind)],
    )


def read(session: Session, name: str) -> provider_pb2.Provider:
    """Return a provider."""
    request = pb.GetProviderRequest(name=provider_name(name))
    return session.registry.call(session.registry.providers.GetProvider, request)


def _credential(provider: provider_pb2.Provider) -> str | Cell:
    if not provider.HasField("credential"):
        return Cell("none", Tone.QUIET)
    prefix = provider.credential.prefix
    return f"{prefix}…" if prefix else word(provider.credential, "type").replace("_", " ")
