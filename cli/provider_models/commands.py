"""``providerctl provider-model``: list, show, change and delete the models of providers."""

from __future__ import annotations

from codevector.providers.v1 import provider_model_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from cli.failures import ExitCode, Failure, UsageFailure
from cli.messages import as_json
from cli.resources import deletion
from cli.resources.fields import assign, assignment, choice, set_labels
from cli.resources.lists import every, order_by
from cli.resources.names import provider_model_name, provider_name, short
from cli.resources.views import (
    Field,
    View,
    enum_word,
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

EVERY_PROVIDER = "providers/-"

PROVIDER_MODELS: View[provider_model_pb2.ProviderModel] = View(
    provider_model_pb2.ProviderModel,
    (
        Field("provider model", lambda each: short(each.name), whole=True),
        Field("kind", lambda each: word(each, "kind")),
        Field("state", state_cell),
        Field("routable", lambda each: yes_or_no(each.routable)),
        Field("source", lambda each: each.catalog_version or word(each, "source")),
        Field("context", lambda each: each.context_window),
        Field("price in/out", lambda each: _price(each)),
        Field("retires", lambda each: shown(each.retire_time)[:10]),
        Field("upstream id", lambda each: each.upstream_model_id, whole=True, wide=True),
        Field("display name", lambda each: each.display_name, wide=True),
        Field("max output", lambda each: each.max_output_tokens, wide=True),
        Field("dimensions", lambda each: each.embedding_dimensions, wide=True),
        Field("capabilities", lambda each: _capabilities(each), wide=True),
        Field("edited", lambda each: ",".join(each.overridden_fields), wide=True),
        Field("labels", lambda each: pairs(each.labels), wide=True),
        Field("updated", lambda each: shown(each.update_time), wide=True),
        Field("revision", lambda each: str(each.revision), wide=True),
    ),
)


def list_(session: Session, *, provider: str, filter_: str, sort: str, columns: str) -> None:
    """Print the models of one provider, or of all."""
    parent = provider_name(provider) if provider else EVERY_PROVIDER
    request = pb.ListProviderModelsRequest(parent=parent, filter=filter_, order_by=order_by(sort))
    rpc = session.registry.providers.ListProviderModels
    show_list(
        session, PROVIDER_MODELS, every(session, rpc, request, lambda page: page.provider_models), columns
    )


def get(session: Session, *, name: str) -> None:
    """Print one provider model."""
    show_one(session, PROVIDER_MODELS, _read(session, name))


def create(
    session: Session,
    *,
    provider: str,
    upstream_id: str,
    kind: str,
    id_: str,
    display_name: str,
    set_: list[str],
    label: list[str],
    dry_run: bool,
) -> None:
    """Create a custom model."""
    model = provider_model_pb2.ProviderModel(upstream_model_id=upstream_id, display_name=display_name)
    model.kind = choice(provider_model_pb2.ModelKind.DESCRIPTOR, kind, "--kind")  # type: ignore[assignment]
    _set(model, set_, label)
    request = pb.CreateProviderModelRequest(
        parent=provider_name(provider), provider_model_id=id_, provider_model=model, validate_only=dry_run
    )
    made = session.registry.call(session.registry.providers.CreateProviderModel, request)
    show_written(session, PROVIDER_MODELS, made, "created", dry_run=dry_run)


def update(
    session: Session, *, name: str, display_name: str, set_: list[str], label: list[str], dry_run: bool
) -> None:
    """Change the fields that are given, unless the model changes meanwhile."""
    model = _read(session, name)
    masked = _set(model, set_, label)
    if display_name:
        model.display_name = display_name
        masked.add("display_name")
    if not masked:
        raise UsageFailure("there is nothing to change: give --set FIELD=VALUE, --display-name or --label")
    request = pb.UpdateProviderModelRequest(provider_model=model, validate_only=dry_run)
    request.update_mask.paths.extend(sorted(masked))
    changed = session.registry.call(session.registry.providers.UpdateProviderModel, request)
    show_written(session, PROVIDER_MODELS, changed, "updated", dry_run=dry_run)


def enable(session: Session, *, name: list[str], dry_run: bool) -> None:
    """Let routers use the models."""
    names = [provider_model_name(each) for each in name]
    providers = session.registry.providers
    if len(names) == 1:
        one = pb.EnableProviderModelRequest(name=names[0], validate_only=dry_run)
        changed = session.registry.call(providers.EnableProviderModel, one)
        show_written(session, PROVIDER_MODELS, changed, "enabled", dry_run=dry_run)
        return
    many = pb.BatchEnableProviderModelsRequest(parent=EVERY_PROVIDER, names=names, validate_only=dry_run)
    _show_batch(session, session.registry.call(providers.BatchEnableProviderModels, many))


def disable(session: Session, *, name: list[str], dry_run: bool) -> None:
    """Keep routers from using the models."""
    names = [provider_model_name(each) for each in name]
    providers = session.registry.providers
    if len(names) == 1:
        one = pb.DisableProviderModelRequest(name=names[0], validate_only=dry_run)
        changed = session.registry.call(providers.DisableProviderModel, one)
        show_written(session, PROVIDER_MODELS, changed, "disabled", dry_run=dry_run)
        return
    many = pb.BatchDisableProviderModelsRequest(parent=EVERY_PROVIDER, names=names, validate_only=dry_run)
    _show_batch(session, session.registry.call(providers.BatchDisableProviderModels, many))


def delete(session: Session, *, name: list[str], yes: bool, impact_token: str, dry_run: bool) -> None:
    """Delete the models, and the backends that lead to them."""
    names = [provider_model_name(each) for each in name]
    providers = session.registry.providers

    def one(preview: bool, token: str) -> pb.DeleteProviderModelResponse:
        request = pb.DeleteProviderModelRequest(
            name=names[0], force=True, validate_only=preview, impact_token=token
        )
        return session.registry.call(providers.DeleteProviderModel, request)

    def many(preview: bool, token: str) -> pb.BatchDeleteProviderModelsResponse:
        request = pb.BatchDeleteProviderModelsRequest(
            parent=EVERY_PROVIDER, names=names, force=True, validate_only=preview, impact_token=token
        )
        answer = session.registry.call(providers.BatchDeleteProviderModels, request)
        _refuse_failures(answer)
        return answer

    call = one if len(names) == 1 else many
    deletion.delete(session, names, call, yes=yes, impact_token=impact_token, dry_run=dry_run)


def _read(session: Session, name: str) -> provider_model_pb2.ProviderModel:
    request = pb.GetProviderModelRequest(name=provider_model_name(name))
    return session.registry.call(session.registry.providers.GetProviderModel, request)


def _set(model: provider_model_pb2.ProviderModel, given: list[str], labels: list[str]) -> set[str]:
    """Set fields and labels, and return the names that a mask has to list."""
    masked = {assign(model, *assignment(text, "--set")) for text in given}
    set_labels(model.labels, labels)
    return masked | ({"labels"} if labels else set())


def _price(model: provider_model_pb2.ProviderModel) -> str:
    price = model.pricing
    if not price.currency_code:
        return ""
    parts = (price.input_per_million_tokens or "-", price.output_per_million_tokens or "-")
    return f"{'/'.join(parts)} {price.currency_code}"


def _capabilities(model: provider_model_pb2.ProviderModel) -> str:
    enum = provider_model_pb2.ModelCapability.DESCRIPTOR
    return ",".join(enum_word(enum, each) for each in model.capabilities)


def _show_batch(
    session: Session, answer: pb.BatchEnableProviderModelsResponse | pb.BatchDisableProviderModelsResponse
) -> None:
    actions = pb.ProviderModelResult.Action.DESCRIPTOR
    session.terminal.show(
        as_json(answer),
        Section(
            "",
            (Column("provider model", whole=True), "result"),
            [
                (
                    short(each.provider_model),
                    Cell(each.error.message, Tone.BAD)
                    if each.HasField("error")
                    else enum_word(actions, each.action),
                )
                for each in answer.results
            ],
        ),
        names=[each.provider_model for each in answer.results],
    )
    _refuse_failures(answer)
    session.terminal.say(f"changed {answer.changed_count} at revision {answer.revision}", Tone.GOOD)


def _refuse_failures(
    answer: pb.BatchEnableProviderModelsResponse
    | pb.BatchDisableProviderModelsResponse
    | pb.BatchDeleteProviderModelsResponse,
) -> None:
    failed = [each for each in answer.results if each.HasField("error")]
    if failed:
        lines = [f"{short(each.provider_model)}: {each.error.message}" for each in failed]
        raise Failure(f"{len(failed)} of {len(answer.results)} failed", code=ExitCode.ERROR, lines=lines)
