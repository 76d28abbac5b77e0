"""Providers: create, read, change, delete. Reading and deleting never need the KMS."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from service.domain import ids, kind_rules
from service.domain.calls import Call
from service.domain.errors import (
    PROVIDER_TYPE,
    Aborted,
    FailedPrecondition,
    NotFound,
    PreconditionViolation,
    Reason,
    ResourceRef,
    invalid_field,
)
from service.domain.impact import DeletionImpact, provider_impact
from service.domain.labels import check_labels
from service.domain.masks import PROVIDER_MASK, fields_to_write
from service.domain.model import (
    CredentialBinding,
    Provider,
    ProviderConfig,
    ProviderKind,
    ProviderView,
    SealedCredential,
    State,
)
from service.store import ReadUnit, WriteUnit
from service.usecases import replays
from service.usecases.context import Context, Written
from service.usecases.preconditions import (
    SHOWN_CHILDREN,
    existing_provider,
    existing_provider_view,
    matching_etag,
    matching_impact,
    mendable,
    readable,
)
from service.usecases.sealed_writes import (
    CredentialChange,
    binding_for,
    credential_view,
    write_sealed,
)
from upstreams.kinds import destinations

NOTHING_DELETED = DeletionImpact()
NOT_YET = datetime.min.replace(tzinfo=UTC)
"""The times of a resource that the store has not stamped."""


@dataclass(frozen=True, slots=True)
class ProviderDraft:
    """A provider as a caller sent it. ``config_kind`` is the kind whose config member is set, if any.

    ``populated`` names the fields that hold anything, as an update without a mask needs to know.
    """

    name: str
    display_name: str
    kind: ProviderKind | None
    config: ProviderConfig
    config_kind: ProviderKind | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    etag: str
    populated: frozenset[str]


def get_provider(ctx: Context, name: str) -> ProviderView:
    """Return one provider. Raises NotFound."""
    provider_id = ids.parse_provider_name(name)
    view = ctx.store.read(lambda unit: unit.providers.view(provider_id))
    if view is None:
        raise NotFound(ResourceRef(PROVIDER_TYPE, name))
    return view


def create_provider(
    ctx: Context,
    call: Call,
    draft: ProviderDraft,
    *,
    provider_id: str = "",
    credential: CredentialChange | None = None,
    start_disabled: bool = False,
) -> Written[ProviderView]:
    """Create a provider, with its credential sealed where one was sent.

    Raises:
        InvalidArgument: a field breaks a rule of the kind.
        AlreadyExists: the id or the display name is taken.
        Aborted: the request_id was used for another request.
        Unavailable: the KMS or the database is away; nothing was written.
    """
    fresh = _new_provider(ctx, draft, provider_id, State.DISABLED if start_disabled else State.ACTIVE)

    def earlier(unit: ReadUnit) -> Written[ProviderView] | None:
        return _replayed(unit, call)

    def insert(unit: WriteUnit, provider: Provider, sealed: SealedCredential | None) -> Written[ProviderView]:
        if not provider.provider_id:
            derived = ids.derive_provider_id(
                provider.display_name, lambda taken: unit.providers.get(taken) is not None
            )
            provider = replace(provider, provider_id=derived)
        stored = unit.providers.insert(provider, sealed)
        replays.remember(unit, call, stored.name)
        return Written.by(unit, ProviderView(stored), stored.revision)

    if credential is None:
        return ctx.store.write(lambda unit: earlier(unit) or insert(unit, fresh, None), call)
    binding = binding_for(uid=fresh.uid, kind=fresh.kind, config=fresh.config, version=1, change=credential)
    return write_sealed(
        ctx,
        call,
        credential,
        lambda _: binding,
        lambda unit, bound, sealed: insert(
            unit, replace(fresh, credential=credential_view(bound, credential, unit.now)), sealed
        ),
        earlier=earlier,
    )


def update_provider(
    ctx: Context,
    call: Call,
    draft: ProviderDraft,
    *,
    paths: Collection[str] = (),
    credential: CredentialChange | None = None,
    allow_missing: bool = False,
) -> Written[ProviderView]:
    """Write the masked fields, and the credential in the same transaction where one was sent.

    Raises:
        FailedPrecondition: CREDENTIAL_REENTRY_REQUIRED, when the change would send the stored credential to
            another destination.
        Aborted: the etag is stale.
    """
    provider_id = ids.parse_provider_name(draft.name, field="provider.name")
    fields = fields_to_write(PROVIDER_MASK, paths, draft.populated)
    if allow_missing and ctx.store.read(lambda unit: unit.providers.get(provider_id)) is None:
        return create_provider(ctx, call, draft, provider_id=provider_id, credential=credential)

    def changed(before: Provider) -> Provider:
        matching_etag(readable(before), draft.etag)
        return _with_fields(ctx, before, draft, fields)

    def change(unit: ReadUnit) -> tuple[Provider, Provider]:
        before = existing_provider(unit, draft.name, field="provider.name")
        return before, changed(before)

    if credential is None:

        def update(unit: WriteUnit) -> Written[ProviderView]:
            view = existing_provider_view(unit, draft.name, field="provider.name")
            after = changed(view.provider)
            _keep_destinations(view.provider, after)
            return _updated(unit, view, after)

        return ctx.store.write(update, call)

    return _replace_credential(ctx, call, credential, change)


def set_provider_credential(
    ctx: Context,
    call: Call,
    name: str,
    credential: CredentialChange,
    *,
    expected_version: int = 0,
) -> Written[ProviderView]:
    """Replace the stored credential; the old data key is destroyed in the same transaction.

    ``expected_version`` 0 asks for nothing; any other must be the current version.

    Raises:
        Aborted: CREDENTIAL_VERSION_MISMATCH, REQUEST_ID_REUSED, or the provider kept changing.
        Unavailable: KMS_UNAVAILABLE; nothing was written.
    """

    def change(unit: ReadUnit) -> tuple[Provider, Provider]:
        provider = existing_provider(unit, name)
        matching_version(provider, expected_version)
        if provider.state is not State.CORRUPT:
            return provider, provider
        return provider, unit.providers.without_credential(mendable(provider))

    return _replace_credential(ctx, call, credential, change)


def matching_version(provider: Provider, expected_version: int) -> None:
    """Refuse to replace a credential that the caller has not seen. 0 asks for nothing.

    Raises:
        Aborted: CREDENTIAL_VERSION_MISMATCH.
    """
    version = _credential_version(provider)
    if expected_version and expected_version != version:
        name = provider.name
        raise Aborted(
            f"the credential of {name} is at version {version}: read the provider again, then retry",
            reason=Reason.CREDENTIAL_VERSION_MISMATCH,
            metadata={"name": name, "current_version": str(version), "current_etag": provider.etag},
            resource=ResourceRef(PROVIDER_TYPE, name),
        )


def set_provider_state(
    ctx: Context,
    call: Call,
    name: str,
    state: State,
    *,
    etag: str = "",
) -> Written[ProviderView]:
    """Enable or disable; repeating it changes nothing and succeeds."""

    def work(unit: WriteUnit) -> Written[ProviderView]:
        view = existing_provider_view(unit, name)
        matching_etag(readable(view.provider), etag)
        return _updated(unit, view, replace(view.provider, state=state))

    return ctx.store.write(work, call)


def delete_provider(
    ctx: Context,
    call: Call,
    name: str,
    *,
    etag: str = "",
    force: bool = False,
    allow_missing: bool = False,
    impact_token: str = "",
) -> Written[DeletionImpact]:
    """Delete the provider, its models, the backends to them and its credential in one revision.

    Its data key is gone with it.

    A dry run computes the same impact and deletes nothing, whatever ``force`` says.

    Raises:
        FailedPrecondition: PROVIDER_HAS_MODELS without ``force``.
        Aborted: the etag is stale, or the impact is no longer what ``impact_token`` was given for.
    """
    provider_id = ids.parse_provider_name(name)

    def work(unit: WriteUnit) -> Written[DeletionImpact]:
        provider = unit.providers.get(provider_id)
        if provider is None:
            if allow_missing:
                return Written.by(unit, NOTHING_DELETED, unit.visible_revision)
            raise NotFound(ResourceRef(PROVIDER_TYPE, name))
        matching_etag(provider, etag)
        models = unit.provider_models.of(provider_id)
        wired = unit.models.wired_to_provider(provider_id)
        impact = provider_impact(ctx.impact_key, provider, models, wired)
        matching_impact(provider, impact, impact_token)
        if models and not force and not call.validate_only:
            raise _has_models(name, impact)
        unit.providers.delete(provider, models=models, wired=wired)
        return Written.by(unit, impact, unit.revision)

    return ctx.store.write(work, call)


def _replace_credential(
    ctx: Context,
    call: Call,
    credential: CredentialChange,
    change: Callable[[ReadUnit], tuple[Provider, Provider]],
) -> Written[ProviderView]:
    def bind(unit: ReadUnit) -> CredentialBinding:
        before, after = change(unit)
        return binding_for(
            uid=before.uid,
            kind=before.kind,
            config=after.config,
            version=_credential_version(before) + 1,
            change=credential,
        )

    def work(unit: WriteUnit, binding: CredentialBinding, sealed: SealedCredential) -> Written[ProviderView]:
        before, after = change(unit)
        after = replace(after, credential=credential_view(binding, credential, unit.now))
        stored = unit.providers.update(before, after, sealed)
        replays.remember(unit, call, stored.name)
        return _written(unit, stored)

    return write_sealed(
        ctx,
        call,
        credential,
        bind,
        work,
        earlier=lambda unit: _replayed(unit, call),
    )


def _new_provider(ctx: Context, draft: ProviderDraft, provider_id: str, state: State) -> Provider:
    if draft.kind is None:
        raise invalid_field("provider.kind", "is required", rule="required")
    ids.check_display_name(draft.display_name, field="provider.display_name")
    check_labels(draft.labels, field="provider.labels")
    return Provider(
        provider_id=provider_id,
        uid=ctx.new_uuid(),
        display_name=draft.display_name,
        kind=draft.kind,
        state=state,
        config=checked_config(ctx, draft.kind, draft),
        labels=draft.labels,
        annotations=draft.annotations,
        create_time=NOT_YET,
        update_time=NOT_YET,
    )


def _with_fields(ctx: Context, before: Provider, draft: ProviderDraft, fields: frozenset[str]) -> Provider:
    if "kind" in fields and draft.kind is not before.kind:
        raise invalid_field(
            "provider.kind",
            "cannot be changed: create another provider",
            rule="immutable",
            reason=Reason.FIELD_IMMUTABLE,
        )
    after = before
    if "display_name" in fields:
        ids.check_display_name(draft.display_name, field="provider.display_name")
        after = replace(after, display_name=draft.display_name)
    if "config" in fields:
        after = replace(after, config=checked_config(ctx, before.kind, draft))
    if "labels" in fields:
        check_labels(draft.labels, field="provider.labels")
        after = replace(after, labels=draft.labels)
    if "annotations" in fields:
        after = replace(after, annotations=draft.annotations)
    return after


def checked_config(ctx: Context, kind: ProviderKind, draft: ProviderDraft) -> ProviderConfig:
    """Return the draft's settings as they are stored for a provider of that kind. Raises InvalidArgument."""
    if draft.config_kind not in (None, kind):
        member = kind.word
        raise invalid_field(
            "provider.config",
            f"must set the member {member}, which belongs to this kind",
            rule="config.kind",
            reason=Reason.CONFIG_KIND_MISMATCH,
        )
    return kind_rules.validate_config(kind, draft.config, ctx.url_policy, field="provider.config")


def _keep_destinations(before: Provider, after: Provider) -> None:
    """A stored credential is never sent anywhere but where it was given for."""
    credential = before.credential
    if credential is None:
        return
    old = destinations(before.kind, before.config.values, credential.type)
    new = destinations(after.kind, after.config.values, credential.type)
    if old != new:
        text = "this change sends the credential to another destination: send the credential again with it"
        raise FailedPrecondition(
            f"{before.name}: {text}",
            reason=Reason.CREDENTIAL_REENTRY_REQUIRED,
            violations=[PreconditionViolation("CREDENTIAL", before.name, text)],
            metadata={"name": before.name},
            resource=ResourceRef(PROVIDER_TYPE, before.name),
        )


def _has_models(name: str, impact: DeletionImpact) -> FailedPrecondition:
    count = impact.provider_model_count
    return FailedPrecondition(
        f"{name} has {count} provider model{'s' if count != 1 else ''}: set force to delete them too",
        reason=Reason.PROVIDER_HAS_MODELS,
        violations=[
            PreconditionViolation("CHILD_RESOURCE", child, "is deleted with its provider")
            for child in impact.provider_models[:SHOWN_CHILDREN]
        ],
        metadata={
            "name": name,
            "provider_model_count": str(count),
            "backend_count": str(impact.backend_count),
        },
    )


def _replayed(unit: ReadUnit, call: Call) -> Written[ProviderView] | None:
    name = replays.replayed(unit, call)
    return None if name is None else _written(unit, existing_provider(unit, name))


def _updated(unit: WriteUnit, view: ProviderView, after: Provider) -> Written[ProviderView]:
    """Change a provider, but not its credential. What is counted beside it stays, and is not read again."""
    stored = unit.providers.update(view.provider, after)
    return Written(replace(view, provider=stored), stored.revision)


def _written(unit: ReadUnit, provider: Provider) -> Written[ProviderView]:
    view = unit.providers.view(provider.provider_id)
    assert view is not None  # noqa: S101 - read in the same transaction
    return Written.by(unit, view, provider.revision)


def _credential_version(provider: Provider) -> int:
    return provider.credential.version if provider.credential else 0
