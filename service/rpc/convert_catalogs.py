"""Catalogs and kinds to their messages; nothing of either comes in."""

from __future__ import annotations

from codevector.providers.v1 import catalog_pb2

from service.domain.catalog import Catalog, KindInfo
from service.domain.model import ModelFacts
from service.rpc.convert import enum_number, pricing_to_pb
from upstreams.kinds import CredentialForm, Field


def catalog_to_pb(catalog: Catalog, *, with_models: bool) -> catalog_pb2.Catalog:
    """Return a catalog; lists leave its models out."""
    return catalog_pb2.Catalog(
        name=catalog.name,
        kind=enum_number(catalog.kind),
        version=catalog.version,
        release_time=catalog.release_time,
        model_count=len(catalog.models),
        digest=catalog.digest,
        models=[_catalog_model(facts) for facts in catalog.models] if with_models else (),
    )


def _catalog_model(facts: ModelFacts) -> catalog_pb2.CatalogModel:
    return catalog_pb2.CatalogModel(
        upstream_model_id=facts.upstream_model_id,
        display_name=facts.display_name,
        kind=enum_number(facts.kind),
        context_window=facts.context_window,
        max_output_tokens=facts.max_output_tokens,
        embedding_dimensions=facts.embedding_dimensions,
        pricing=pricing_to_pb(facts.pricing),
        capabilities=[enum_number(capability) for capability in facts.capabilities],
        retire_time=facts.retire_time,
        needs_review=facts.needs_review,
    )


def kind_info_to_pb(info: KindInfo) -> catalog_pb2.ProviderKindInfo:
    """Return what a form for one kind needs."""
    kind = info.kind
    return catalog_pb2.ProviderKindInfo(
        kind=enum_number(kind.kind),
        display_name=kind.display_name,
        description=kind.description,
        documentation_uri=kind.documentation_uri,
        config_field=kind.kind.word,
        config_fields=[_form_field(field) for field in kind.config_fields],
        credential_forms=[_credential_form(form) for form in kind.credential_forms],
        credential_required=kind.credential_required,
        catalog_available=bool(info.catalog_version),
        catalog_version=info.catalog_version,
        credential_prefixes=kind.credential_prefixes,
    )


def _credential_form(form: CredentialForm) -> catalog_pb2.CredentialForm:
    return catalog_pb2.CredentialForm(
        type=enum_number(form.type),
        field=form.type.word,
        display_name=form.display_name,
        description=form.description,
        key_uri=form.key_uri,
        fields=[_form_field(field) for field in form.fields],
        test_confirms=form.test_confirms,
        test_note=form.test_note,
    )


def _form_field(field: Field) -> catalog_pb2.FormField:
    return catalog_pb2.FormField(
        field=field.name,
        label=field.label,
        control=enum_number(field.control),
        required=field.required,
        group=field.group,
        placeholder=field.placeholder,
        help_text=field.help_text,
        validation_text=field.validation_text,
        default_value=field.default_value,
        suggested_value=field.suggested_value,
        json=field.json,
        prefixes=field.prefixes,
    )
