"""Fills a provider's configuration and credential by the registry's forms, from text or by asking.

May see: a credential in plain, for the length of one command. Must never: print, log or repeat any of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from codevector.providers.v1 import provider_pb2
from codevector.providers.v1.catalog_pb2 import CredentialForm, FormField, ProviderKindInfo
from google.protobuf.message import Message

from cli.failures import UsageFailure
from cli.providers.kinds import kinds
from cli.resources import prompts
from cli.resources.fields import assign, assignment
from cli.session import Session

_SECRETS = {FormField.CONTROL_SECRET, FormField.CONTROL_MULTILINE_SECRET}


@dataclass(frozen=True, slots=True)
class CredentialFlags:
    """What the command line says of a credential; ``text`` is the secret, read from where it may be."""

    type_name: str
    fields: tuple[str, ...]
    text: str | None


def set_config(session: Session, provider: provider_pb2.Provider, given: list[str]) -> None:
    """Set fields of the provider's configuration, each ``FIELD=VALUE``; an empty value clears one.

    Raises:
        UsageFailure: its kind has no such field.
    """
    kind = kinds(session).of(provider.kind)
    config = getattr(provider.config, kind.config_field)
    config.SetInParent()
    for text in given:
        path, value = assignment(text, "--set")
        if path.split(".")[0] not in {field.field for field in kind.config_fields}:
            known = ", ".join(field.field for field in kind.config_fields) or "none"
            raise UsageFailure(f"--set: {kind.display_name} has no field {path!r}: its fields are {known}")
        assign(config, path, value)


def ask_config(session: Session, kind: ProviderKindInfo, provider: provider_pb2.Provider) -> None:
    """Ask for the required fields of the configuration that are still empty."""
    config = getattr(provider.config, kind.config_field)
    config.SetInParent()
    for field in kind.config_fields:
        if field.required and not getattr(config, field.field):
            assign(config, field.field, _ask(session, field))


def credential(
    session: Session, kind: ProviderKindInfo, flags: CredentialFlags
) -> provider_pb2.CredentialInput | None:
    """Return the credential that the flags describe, asking for what is missing where somebody can answer.

    Returns:
        None where none is given and nobody can be asked, or the kind needs none and none was typed.

    Raises:
        UsageFailure: a field is missing or unknown, or the text is not what the form takes.
    """
    form = _form(kind, flags.type_name)
    asks = prompts.can_ask(session) and flags.text is None
    if not form.fields:
        return _filled(form, {}) if flags.type_name else None
    values = _plain_values(form, flags.fields)
    if flags.text is not None:
        values |= _from_text(form, values, flags.text)
    elif asks:
        print(f"{form.display_name}{f': {form.key_uri}' if form.key_uri else ''}", file=session.world.stderr)
        for field in form.fields:
            if field.field not in values and (field.required or len(form.fields) == 1):
                values[field.field] = _ask(session, field)
        if not any(values.values()):
            return None
    elif not values:
        return None
    missing = [field.field for field in form.fields if field.required and not values.get(field.field)]
    if missing:
        raise UsageFailure(f"the credential lacks {', '.join(missing)}: {_how(form)}")
    return _filled(form, values)


def _form(kind: ProviderKindInfo, type_name: str) -> CredentialForm:
    if not type_name:
        return kind.credential_forms[0]
    wanted = type_name.lower().replace("-", "_")
    for form in kind.credential_forms:
        if form.field == wanted:
            return form
    known = ", ".join(form.field for form in kind.credential_forms)
    raise UsageFailure(f"--credential-type: {kind.display_name} takes {known}")


def _plain_values(form: CredentialForm, given: tuple[str, ...]) -> dict[str, str]:
    """Return the fields that may be arguments, being no secrets."""
    by_name = {field.field: field for field in form.fields}
    values = {}
    for text in given:
        name, value = assignment(text, "--credential-field")
        field = by_name.get(name)
        if field is None:
            raise UsageFailure(
                f"--credential-field: there is no field {name!r}: the fields are {', '.join(by_name)}"
            )
        if field.control in _SECRETS:
            raise UsageFailure(f"{name} is a secret, and never an argument: {_how(form)}")
        values[name] = value
    return values


def _from_text(form: CredentialForm, values: Mapping[str, str], text: str) -> dict[str, str]:
    """Return the fields that the text holds: the one that is missing, or a JSON object of several."""
    absent = [field for field in form.fields if field.field not in values]
    missing = absent if len(absent) == 1 else [field for field in absent if field.required]
    if len(missing) == 1 and (missing[0].json or not text.lstrip().startswith("{")):
        # The line feed that echo or an editor adds is no part of a key; the registry refuses one within.
        return {missing[0].field: text if missing[0].json else text.rstrip("\r\n")}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    names = {field.field for field in form.fields}
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise UsageFailure(f"the credential has several fields: {_how(form)}")
    if unknown := sorted(found.keys() - names):
        raise UsageFailure(f"the credential has no field {unknown[0]!r}: {_how(form)}")
    return found


def _how(form: CredentialForm) -> str:
    names = [field.field for field in form.fields]
    if len(names) == 1:
        return "use --credential-stdin, --credential @FILE or --from-env NAME"
    shape = ", ".join(f'"{name}": "…"' for name in names)
    return f"pass {{{shape}}} with --credential-stdin, --credential @FILE or --from-env NAME"


def _filled(form: CredentialForm, values: Mapping[str, str]) -> provider_pb2.CredentialInput:
    made = provider_pb2.CredentialInput()
    material: Message = getattr(made, form.field)
    material.SetInParent()
    for name, value in values.items():
        if value:
            setattr(material, name, value)
    return made


def _ask(session: Session, field: FormField) -> str:
    if field.control == FormField.CONTROL_MULTILINE_SECRET:
        raise UsageFailure(f"{field.label} has several lines: use --credential-stdin or --credential @FILE")
    if field.control in _SECRETS:
        return prompts.ask_secret(session, field.label, required=field.required)
    if field.options:
        return prompts.choose(session, field.label, field.options, default=field.suggested_value)
    hint = field.validation_text or field.help_text
    question = f"{field.label} ({hint.rstrip('.')})" if hint else field.label
    return prompts.ask(
        session, question, default=field.suggested_value or field.default_value, required=field.required
    )
