"""``kinds.json``: what forms ask for, per kind of provider."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from service.catalog_files.document import Fields, read_document
from service.domain.catalog import CredentialForm, FormControl, FormField, KindInfo, kind_from_slug, kind_slug
from service.domain.model import CredentialType, ProviderKind

KINDS_SCHEMA_VERSION = 1

_CONTROLS = {control.name.lower(): control for control in FormControl}
_CREDENTIAL_TYPES = {type_.name.lower(): type_ for type_ in CredentialType}
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_HTTPS = re.compile(r"https://[\x21-\x7e]{1,2040}")
_PREFIX = re.compile(r"[\x21-\x7e]{1,32}")

_FILE_KEYS = frozenset({"schema_version", "kinds"})
_KIND_KEYS = frozenset(
    {"kind", "display_name", "documentation_uri", "config_field", "config_fields", "credential_forms"}
)
_FORM_KEYS = frozenset({"type", "display_name", "fields"})
_FORM_EXTRAS = frozenset({"prefixes"})
_FIELD_KEYS = frozenset({"field", "label", "control", "required"})
_FIELD_EXTRAS = frozenset({"placeholder", "help_text", "options", "default_value"})


def read_kinds(path: Path, newest: Mapping[ProviderKind, str]) -> tuple[KindInfo, ...]:
    """The description of every kind, in the order of the kinds' numbers.

    ``newest`` tells the newest release that covers a kind.

    Raises:
        CatalogFileError: a kind is missing or listed twice, or a field is not what it must be.
    """
    document = read_document(path).fields().allow(_FILE_KEYS)
    if document.integer("schema_version", low=1, high=1_000_000) != KINDS_SCHEMA_VERSION:
        document.refuse(f"is not the version that is read here, {KINDS_SCHEMA_VERSION}", "schema_version")
    kinds: dict[ProviderKind, KindInfo] = {}
    for fields in document.objects("kinds"):
        info = _read_kind(fields, newest)
        if info.kind in kinds:
            fields.refuse("occurs twice", "kind")
        kinds[info.kind] = info
    if missing := [kind_slug(kind) for kind in ProviderKind if kind not in kinds]:
        document.refuse(f"lacks {', '.join(missing)}", "kinds")
    return tuple(kinds[kind] for kind in ProviderKind)


def _read_kind(fields: Fields, newest: Mapping[ProviderKind, str]) -> KindInfo:
    fields.allow(_KIND_KEYS)
    kind = kind_from_slug(fields.text("kind"))
    if kind is None:
        fields.refuse("is no kind of provider", "kind")
    return KindInfo(
        kind=kind,
        display_name=fields.text("display_name"),
        documentation_uri=fields.matching("documentation_uri", _HTTPS, "an https URL"),
        config_field=fields.matching("config_field", _FIELD_NAME, "a proto field name"),
        config_fields=tuple(_read_field(field) for field in fields.objects("config_fields")),
        credential_forms=tuple(_read_form(form) for form in fields.objects("credential_forms")),
        catalog_version=newest.get(kind, ""),
    )


def _read_form(fields: Fields) -> CredentialForm:
    fields.allow(_FORM_KEYS, _FORM_EXTRAS)
    name = fields.one_of("type", _CREDENTIAL_TYPES)
    prefixes = fields.texts("prefixes") if "prefixes" in fields else ()
    for index, prefix in enumerate(prefixes):
        if _PREFIX.fullmatch(prefix) is None:
            fields.refuse("must be 1 to 32 visible ASCII characters", "prefixes", index)
    return CredentialForm(
        type=_CREDENTIAL_TYPES[name],
        field=name,
        display_name=fields.text("display_name"),
        fields=tuple(_read_field(field) for field in fields.objects("fields")),
        prefixes=tuple(sorted(prefixes, key=lambda prefix: (-len(prefix), prefix))),
    )


def _read_field(fields: Fields) -> FormField:
    fields.allow(_FIELD_KEYS, _FIELD_EXTRAS)
    return FormField(
        field=fields.matching("field", _FIELD_NAME, "a proto field name"),
        label=fields.text("label"),
        control=_CONTROLS[fields.one_of("control", _CONTROLS)],
        required=fields.flag("required"),
        placeholder=fields.text_or_none("placeholder") or "",
        help_text=fields.text_or_none("help_text") or "",
        options=fields.texts("options") if "options" in fields else (),
        default_value=fields.text_or_none("default_value") or "",
    )
