"""The form of a provider, made from what the registry says of its kind. No kind is known here by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from codevector.providers.v1 import catalog_pb2, provider_pb2
from google.protobuf.message import Message

Control = catalog_pb2.FormField.Control
CREDENTIAL_TYPE = "credential.type"
SECRETS = frozenset({Control.CONTROL_SECRET, Control.CONTROL_MULTILINE_SECRET})
CONTROLS: Mapping[catalog_pb2.FormField.Control, str] = {
    Control.CONTROL_SECRET: "secret",
    Control.CONTROL_URI: "uri",
    Control.CONTROL_SELECT: "select",
    Control.CONTROL_KEY_VALUE: "pairs",
    Control.CONTROL_MULTILINE_SECRET: "multiline",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One input. ``value`` is never a secret's."""

    name: str
    label: str
    control: str = "text"
    value: str = ""
    error: str = ""
    required: bool = False
    placeholder: str = ""
    help: str = ""
    options: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    json: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One type of credential, with its inputs; none for an identity that the router brings itself."""

    info: catalog_pb2.CredentialForm
    fields: tuple[Field, ...]
    chosen: bool

    @property
    def value(self) -> str:
        """What the form sends when this type is chosen."""
        return self.info.field


@dataclass(frozen=True, slots=True)
class KindForm:
    """All inputs of one kind; ``groups`` are its settings under their headings, the first without one."""

    info: catalog_pb2.ProviderKindInfo
    groups: tuple[tuple[str, tuple[Field, ...]], ...]
    choices: tuple[Choice, ...]


def kind_form(
    info: catalog_pb2.ProviderKindInfo, values: Mapping[str, str], errors: Mapping[str, str]
) -> KindForm:
    """Return the form with what was typed, secrets left out."""
    settings = [(field, f"config.{field.field}") for field in info.config_fields]
    groups = tuple(
        (heading, tuple(_field(field, name, values, errors) for field, name in members))
        for heading, members in groupby(settings, key=lambda pair: pair[0].group)
    )
    chosen = values.get(CREDENTIAL_TYPE) or (info.credential_forms[0].field if info.credential_forms else "")
    choices = tuple(
        Choice(
            form,
            tuple(_field(field, _credential(form, field), values, errors) for field in form.fields),
            form.field == chosen,
        )
        for form in info.credential_forms
    )
    return KindForm(info, groups, choices)


def settings_of(info: catalog_pb2.ProviderKindInfo, provider: provider_pb2.Provider) -> dict[str, str]:
    """Return the values of a form for what a provider has now."""
    member = getattr(provider.config, info.config_field)
    values = {"name": provider.display_name}
    for field in info.config_fields:
        value = getattr(member, field.field)
        if field.control == Control.CONTROL_KEY_VALUE:
            value = "\n".join(f"{name}: {text}" for name, text in sorted(value.items()))
        values[f"config.{field.field}"] = value
    return values


def config_of(
    info: catalog_pb2.ProviderKindInfo, form: Mapping[str, str]
) -> tuple[provider_pb2.ProviderConfig, tuple[str, ...]]:
    """Return the settings that were typed, and the labels of those that lost blanks around them."""
    config, trimmed = provider_pb2.ProviderConfig(), list[str]()
    member: Message = getattr(config, info.config_field)
    for field in info.config_fields:
        typed = form.get(f"config.{field.field}", "")
        if field.control == Control.CONTROL_KEY_VALUE:
            getattr(member, field.field).update(_pairs(typed))
            continue
        if typed != typed.strip():
            trimmed.append(field.label)
        setattr(member, field.field, typed.strip())
    if member.ByteSize():
        member.SetInParent()
    else:
        config.ClearField(info.config_field)
    return config, tuple(trimmed)


def credential_of(
    info: catalog_pb2.ProviderKindInfo, form: Mapping[str, str]
) -> tuple[provider_pb2.CredentialInput | None, tuple[str, ...]]:
    """Return the credential that was typed, None for an empty one, and the labels of what was trimmed."""
    chosen = form.get(CREDENTIAL_TYPE, "")
    choice = next((each for each in info.credential_forms if each.field == chosen), None)
    if choice is None:
        return None, ()
    credential, trimmed, given = provider_pb2.CredentialInput(), list[str](), not choice.fields
    member: Message = getattr(credential, choice.field)
    member.SetInParent()
    for field in choice.fields:
        typed = form.get(_credential(choice, field), "")
        if typed != typed.strip():
            trimmed.append(field.label)
        if typed.strip():
            given = True
            setattr(member, field.field, typed.strip())
    return (credential, tuple(trimmed)) if given else (None, ())


def foreign_kind(
    infos: Iterable[catalog_pb2.ProviderKindInfo],
    kind: provider_pb2.ProviderKind,
    credential: provider_pb2.CredentialInput | None,
) -> catalog_pb2.ProviderKindInfo | None:
    """Return the other kind whose keys begin as this one does, unless its own kind's do as well."""
    if credential is None or not credential.HasField("api_key"):
        return None
    key, best, length = credential.api_key.api_key, None, 0
    own = next((info for info in infos if info.kind == kind), None)
    if own is None or not own.credential_prefixes:
        return None
    length = max((len(each) for each in own.credential_prefixes if key.startswith(each)), default=0)
    for info in infos:
        for prefix in info.credential_prefixes:
            if key.startswith(prefix) and len(prefix) > length:
                best, length = info, len(prefix)
    return best


def _credential(form: catalog_pb2.CredentialForm, field: catalog_pb2.FormField) -> str:
    return f"credential.{form.field}.{field.field}"


def _field(
    field: catalog_pb2.FormField, name: str, values: Mapping[str, str], errors: Mapping[str, str]
) -> Field:
    secret = field.control in SECRETS
    help_text = field.help_text
    if field.default_value and not field.required:
        help_text = f"{help_text} Default: {field.default_value}".strip()
    return Field(
        name=name,
        label=field.label,
        control=CONTROLS.get(field.control, "text"),
        value="" if secret else values.get(name, field.suggested_value),
        error=errors.get(name, ""),
        required=field.required,
        placeholder=field.placeholder or field.default_value,
        help=help_text,
        options=tuple(field.options),
        prefixes=tuple(field.prefixes),
        json=field.json,
    )


def _pairs(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines() if line.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}
