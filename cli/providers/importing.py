"""Takes models from a catalog: new ones by an import, what changed since by a refresh."""

from __future__ import annotations

from codevector.providers.v1 import provider_service_pb2 as pb

from cli.messages import as_json
from cli.resources.names import provider_name, short
from cli.resources.views import enum_word
from cli.session import Session
from cli.terminal.output import Column, Facts, Section, Tone

_COUNTS = (
    ("created", "created_count"),
    ("refreshed", "refreshed_count"),
    ("adopted", "adopted_count"),
    ("unchanged", "unchanged_count"),
    ("skipped", "skipped_count"),
    ("kept custom", "kept_custom_count"),
    ("gone from the catalog", "gone_count"),
)


def import_(
    session: Session,
    *,
    provider: str,
    id_: list[str],
    catalog_version: str,
    disabled: bool,
    plan_digest: str,
    dry_run: bool,
) -> None:
    """Create the catalog's models that the provider does not have."""
    request = pb.ImportProviderModelsRequest(
        parent=provider_name(provider),
        upstream_model_ids=id_,
        catalog_version=catalog_version,
        start_disabled=disabled,
        plan_digest=plan_digest,
        validate_only=dry_run,
    )
    _import(session, request)


def refresh(
    session: Session,
    *,
    provider: str,
    id_: list[str],
    catalog_version: str,
    adopt_custom: bool,
    plan_digest: str,
    dry_run: bool,
) -> None:
    """Bring the provider's models up to a release of the catalog."""
    request = pb.ImportProviderModelsRequest(
        parent=provider_name(provider),
        upstream_model_ids=id_,
        catalog_version=catalog_version,
        existing_policy=pb.ImportProviderModelsRequest.EXISTING_POLICY_REFRESH,
        existing_only=True,
        adopt_custom=adopt_custom,
        plan_digest=plan_digest,
        validate_only=dry_run,
    )
    _import(session, request)


def _import(session: Session, request: pb.ImportProviderModelsRequest) -> None:
    answer = session.registry.call(session.registry.providers.ImportProviderModels, request)
    actions = pb.ImportResult.Action.DESCRIPTOR
    session.terminal.show(
        as_json(answer),
        Section(
            "",
            (Column("provider model", whole=True), "upstream id", "action", "changed", "kept"),
            [
                (
                    short(each.provider_model) or "none",
                    each.upstream_model_id,
                    enum_word(actions, each.action).replace("_", " "),
                    ", ".join(each.changed_fields),
                    ", ".join(field.field for field in each.kept_fields),
                )
                for each in answer.results
            ],
        ),
        Facts(
            [
                ("catalog", answer.catalog_version),
                *((title, count) for title, field in _COUNTS if (count := getattr(answer, field))),
                *([("plan digest", answer.plan_digest)] if request.validate_only else []),
            ]
        ),
        names=[each.provider_model for each in answer.results if each.provider_model],
    )
    if request.validate_only:
        session.terminal.say("dry run: nothing was changed; --plan-digest pins this plan", Tone.QUIET)
