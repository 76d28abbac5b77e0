"""``provider create``, ``update`` and ``set-credential``: from flags, or by asking on a terminal."""

from __future__ import annotations

from codevector.providers.v1 import provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from cli.failures import UsageFailure
from cli.providers import forms
from cli.providers.commands import PROVIDERS, read
from cli.providers.kinds import kind_word, kinds
from cli.providers.secrets import secret_text
from cli.resources import prompts
from cli.resources.fields import set_labels
from cli.resources.names import provider_name, short
from cli.resources.views import show_written
from cli.session import Session


def create(
    session: Session,
    *,
    name: str,
    kind: str,
    display_name: str,
    set_: list[str],
    label: list[str],
    credential: str,
    credential_stdin: bool,
    from_env: str,
    credential_type: str,
    credential_field: list[str],
    disabled: bool,
    dry_run: bool,
) -> None:
    """Create a provider, with its credential if one is given."""
    known = kinds(session)
    text = secret_text(session, credential, from_stdin=credential_stdin, variable=from_env)
    asks = prompts.can_ask(session) and not credential_stdin
    if not kind:
        if not asks:
            raise UsageFailure(f"--kind is missing: one of {', '.join(known.words())}")
        kind = prompts.choose(session, "Kind", known.words())
    chosen = known.named(kind)
    if not name and asks:
        name = prompts.ask(session, "Name", default=kind_word(chosen.kind).replace("_", "-"))
    identifier = short(name)
    provider = provider_pb2.Provider(kind=chosen.kind, display_name=display_name or identifier)
    if not provider.display_name:
        raise UsageFailure("NAME is missing, e.g. openai-prod")
    if set_:
        forms.set_config(session, provider, set_)
    if asks:
        forms.ask_config(session, chosen, provider)
    set_labels(provider.labels, label)
    flags = forms.CredentialFlags(credential_type, tuple(credential_field), text)
    request = pb.CreateProviderRequest(
        provider_id=identifier,
        provider=provider,
        credential=forms.credential(session, chosen, flags),
        start_disabled=disabled,
        validate_only=dry_run,
    )
    made = session.registry.call(session.registry.providers.CreateProvider, request)
    show_written(session, PROVIDERS, made, "created", dry_run=dry_run)


def update(
    session: Session,
    *,
    name: str,
    display_name: str,
    set_: list[str],
    label: list[str],
    credential: str,
    credential_stdin: bool,
    from_env: str,
    credential_type: str,
    credential_field: list[str],
    dry_run: bool,
) -> None:
    """Change the fields that are given, unless the provider changes meanwhile."""
    text = secret_text(session, credential, from_stdin=credential_stdin, variable=from_env)
    provider = read(session, name)
    before = provider_pb2.Provider()
    before.CopyFrom(provider)
    if display_name:
        provider.display_name = display_name
    if set_:
        forms.set_config(session, provider, set_)
    set_labels(provider.labels, label)
    request = pb.UpdateProviderRequest(provider=provider, validate_only=dry_run)
    fields = ("display_name", "config", "labels")
    changed = [each for each in fields if getattr(provider, each) != getattr(before, each)]
    request.update_mask.paths.extend(changed)
    if text is not None or credential_type or credential_field:
        flags = forms.CredentialFlags(credential_type, tuple(credential_field), text)
        material = forms.credential(session, kinds(session).of(provider.kind), flags)
        if material is not None:
            request.credential.CopyFrom(material)
    if not changed and not request.HasField("credential"):
        raise UsageFailure("there is nothing to change: give --display-name, --set, --label or a credential")
    updated = session.registry.call(session.registry.providers.UpdateProvider, request)
    show_written(session, PROVIDERS, updated, "updated", dry_run=dry_run)


def set_credential(
    session: Session,
    *,
    name: str,
    credential: str,
    credential_stdin: bool,
    from_env: str,
    credential_type: str,
    credential_field: list[str],
    verify: bool,
    dry_run: bool,
) -> None:
    """Replace the credential of a provider."""
    text = secret_text(session, credential, from_stdin=credential_stdin, variable=from_env)
    kind = kinds(session).of(read(session, name).kind)
    flags = forms.CredentialFlags(credential_type, tuple(credential_field), text)
    made = forms.credential(session, kind, flags)
    if made is None:
        raise UsageFailure(
            "no credential is given: use --credential-stdin, --credential @FILE or --from-env NAME"
        )
    request = pb.SetProviderCredentialRequest(
        name=provider_name(name), credential=made, verify=verify, validate_only=dry_run
    )
    changed = session.registry.call(session.registry.providers.SetProviderCredential, request)
    show_written(session, PROVIDERS, changed, "given a new credential:", dry_run=dry_run)
