"""ProviderService: the bundled catalogs, the kinds, and importing."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from codevector.providers.v1 import catalog_pb2, provider_model_pb2, provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.servers.api import KINDS, SAMPLES, Api, Sample, kind_word
from tests.support.servers.harness import ROOT

VERSION = max(path.parent.name for path in (ROOT / "catalogs").glob("*/manifest.json"))
CREATED = pb.ImportResult.ACTION_CREATED
SKIPPED = pb.ImportResult.ACTION_SKIPPED_EXISTING
OPENAI = KINDS.PROVIDER_KIND_OPENAI
EVERY_KIND = sorted(sample.kind for sample in SAMPLES)
BUNDLED = [
    kind
    for kind in EVERY_KIND
    if list((ROOT / "catalogs").glob(f"*/{kind_word(kind).replace('_', '-')}.json"))
]
WITH_CATALOG = [sample for sample in SAMPLES if sample.kind in BUNDLED]


@pytest.fixture
def provider(api: Api) -> provider_pb2.Provider:
    return api.create(kind=OPENAI)


def catalog_of(api: Api, kind: provider_pb2.ProviderKind) -> catalog_pb2.Catalog:
    name = f"catalogs/{kind_word(kind).replace('_', '-')}"
    catalog = api.call("GetCatalog", pb.GetCatalogRequest(name=name))
    assert isinstance(catalog, catalog_pb2.Catalog)
    return catalog


def do_import(
    api: Api, parent: str, *upstream_model_ids: str, **request: Any
) -> pb.ImportProviderModelsResponse:
    report = api.call(
        "ImportProviderModels",
        pb.ImportProviderModelsRequest(parent=parent, upstream_model_ids=upstream_model_ids, **request),
    )
    assert isinstance(report, pb.ImportProviderModelsResponse)
    return report


def provider_models_of(api: Api, parent: str) -> list[provider_model_pb2.ProviderModel]:
    request = pb.ListProviderModelsRequest(parent=parent)
    return [
        model
        for page in api.pages("ListProviderModels", request, size=1000)
        for model in page.provider_models
    ]


class TestCatalogs:
    def test_bundled_kinds_have_one(self, api: Api) -> None:
        catalogs = api.call("ListCatalogs", pb.ListCatalogsRequest()).catalogs
        assert [catalog.kind for catalog in catalogs] == BUNDLED
        assert len(catalogs) >= 11
        assert {catalog.version for catalog in catalogs} == {VERSION}
        assert all(not catalog.models and catalog.model_count for catalog in catalogs)

    @pytest.mark.parametrize("size", [1, 2, 5, 11, 12])
    def test_pages_join_to_all(self, api: Api, size: int) -> None:
        pages = list(api.pages("ListCatalogs", pb.ListCatalogsRequest(), size=size))
        assert [catalog.kind for page in pages for catalog in page.catalogs] == BUNDLED
        assert len(pages) == -(-len(BUNDLED) // size)

    @pytest.mark.parametrize("sample", WITH_CATALOG, ids=lambda sample: kind_word(sample.kind))
    def test_each(self, api: Api, sample: Sample) -> None:
        catalog = catalog_of(api, sample.kind)
        assert (catalog.kind, catalog.version) == (sample.kind, VERSION)
        assert catalog.model_count == len(catalog.models) > 0
        assert len(catalog.digest) == 64
        assert catalog.release_time.seconds
        pinned = api.call("GetCatalog", pb.GetCatalogRequest(name=catalog.name, catalog_version=VERSION))
        assert pinned == catalog

    def test_another_version_is_told_from_what_is_there(self, api: Api) -> None:
        request = pb.GetCatalogRequest(name="catalogs/openai", catalog_version="2001.01.01")
        refusal = api.refuse("GetCatalog", request)
        assert refusal.reason == "CATALOG_VERSION_UNAVAILABLE"
        assert refusal.metadata["available"].split(",")[0] == VERSION


class TestKinds:
    def test_all(self, api: Api) -> None:
        kinds = api.call("ListProviderKinds", pb.ListProviderKindsRequest()).provider_kinds
        assert [kind.kind for kind in kinds] == EVERY_KIND
        for kind in kinds:
            assert kind.display_name
            assert kind.config_field == kind_word(kind.kind)
            assert kind.description
            assert kind.credential_required == (kind.kind != KINDS.PROVIDER_KIND_OPENAI_COMPATIBLE)
            assert kind.catalog_available == (kind.kind in BUNDLED)
            assert kind.catalog_version == (VERSION if kind.catalog_available else "")

    def test_forms_name_the_fields_of_the_messages(self, api: Api) -> None:
        config = provider_pb2.ProviderConfig.DESCRIPTOR
        credential = provider_pb2.CredentialInput.DESCRIPTOR
        for kind in api.call("ListProviderKinds", pb.ListProviderKindsRequest()).provider_kinds:
            settings = config.fields_by_name[kind.config_field].message_type
            assert settings is not None
            assert [field.field for field in kind.config_fields] == [field.name for field in settings.fields]
            for form in kind.credential_forms:
                material = credential.fields_by_name[form.field].message_type
                assert material is not None
                assert {field.field for field in form.fields} == {field.name for field in material.fields}
                assert provider_pb2.CredentialType.Name(form.type).lower().endswith(form.field)

    @pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: kind_word(sample.kind))
    def test_forms_offer_what_the_kind_takes(self, api: Api, sample: Sample) -> None:
        """Every form's type is accepted, and every type without a form is refused."""
        kinds = api.call("ListProviderKinds", pb.ListProviderKindsRequest()).provider_kinds
        forms = {form.field for form in kinds[sample.kind - 1].credential_forms}
        known = {one.credential.WhichOneof("material"): one.credential for one in SAMPLES}
        made = api.create(kind=sample.kind, config=sample.config)
        for member, credential in known.items():
            request = pb.SetProviderCredentialRequest(
                name=made.name, credential=credential, validate_only=True
            )
            if member in forms:
                api.call("SetProviderCredential", request)
            else:
                assert api.refuse("SetProviderCredential", request).reason == "CREDENTIAL_TYPE_MISMATCH"

    def test_required_settings_are_those_a_create_asks_for(self, api: Api) -> None:
        for kind in api.call("ListProviderKinds", pb.ListProviderKindsRequest()).provider_kinds:
            required = [field.field for field in kind.config_fields if field.required]
            request = pb.CreateProviderRequest(
                provider=provider_pb2.Provider(display_name="Preview", kind=kind.kind), validate_only=True
            )
            if required:
                path = f"provider.config.{kind.config_field}.{required[0]}"
                assert api.refuse("CreateProvider", request).fields == (path,)
            else:
                api.call("CreateProvider", request)

    @pytest.mark.parametrize("size", [1, 5, 12])
    def test_pages_join_to_all(self, api: Api, size: int) -> None:
        pages = api.pages("ListProviderKinds", pb.ListProviderKindsRequest(), size=size)
        assert [kind.kind for page in pages for kind in page.provider_kinds] == EVERY_KIND


class TestImport:
    @pytest.mark.parametrize("sample", WITH_CATALOG, ids=lambda sample: kind_word(sample.kind))
    def test_the_whole_catalog(self, api: Api, sample: Sample) -> None:
        catalog = catalog_of(api, sample.kind)
        parent = api.create(kind=sample.kind, config=sample.config).name
        before = api.revision()
        report = do_import(api, parent)
        assert report.catalog_version == VERSION
        assert (report.created_count, report.skipped_count) == (catalog.model_count, 0)
        assert [result.upstream_model_id for result in report.results] == [
            model.upstream_model_id for model in catalog.models
        ]
        assert {result.action for result in report.results} == {CREATED}
        assert api.trailers["x-revision"] == str(before + 1)

        models = {model.upstream_model_id: model for model in provider_models_of(api, parent)}
        assert len(models) == catalog.model_count
        for result, entry in zip(report.results, catalog.models, strict=True):
            model = models[entry.upstream_model_id]
            assert model.name == result.provider_model
            assert model.revision == before + 1
            assert model.source == provider_model_pb2.ProviderModel.SOURCE_CATALOG
            assert (model.catalog_version, list(model.overridden_fields)) == (VERSION, [])
            for field in entry.DESCRIPTOR.fields:
                assert getattr(model, field.name) == getattr(entry, field.name)

    def test_a_second_time_skips_all(self, api: Api, provider: provider_pb2.Provider) -> None:
        first = do_import(api, provider.name)
        with api.nothing_changes():
            again = do_import(api, provider.name)
            assert api.trailers["x-revision"]
        assert (again.created_count, again.skipped_count) == (0, first.created_count)
        assert {result.action for result in again.results} == {SKIPPED}
        assert [result.provider_model for result in again.results] == [
            result.provider_model for result in first.results
        ]

    def test_existing_ones_stay_exactly_as_they_are(self, api: Api, provider: provider_pb2.Provider) -> None:
        custom = api.create_provider_model(provider.name, "gpt-4o", display_name="Mine")
        edited = api.get(do_import(api, provider.name, "gpt-4o-mini").results[0].provider_model)
        edited.context_window = 5
        edited = api.update(edited, "context_window")
        off = api.call("DisableProviderModel", pb.DisableProviderModelRequest(name=edited.name))
        report = do_import(api, provider.name)
        assert report.skipped_count == 2
        assert api.get(custom.name) == custom
        assert api.get(edited.name) == off

    def test_a_selection_in_the_order_asked(self, api: Api, provider: provider_pb2.Provider) -> None:
        do_import(api, provider.name, "gpt-4o")
        report = do_import(api, provider.name, "o3", "gpt-4o", "gpt-4.1")
        assert [(result.upstream_model_id, result.action) for result in report.results] == [
            ("o3", CREATED),
            ("gpt-4o", SKIPPED),
            ("gpt-4.1", CREATED),
        ]
        assert (report.created_count, report.skipped_count) == (2, 1)
        assert len(provider_models_of(api, provider.name)) == 3

    def test_start_disabled(self, api: Api, provider: provider_pb2.Provider) -> None:
        do_import(api, provider.name, "gpt-4o", start_disabled=True)
        [model] = provider_models_of(api, provider.name)
        assert model.state == provider_model_pb2.ProviderModel.STATE_DISABLED
        after = api.get(provider.name)
        assert (after.model_count, after.active_model_count) == (1, 0)

    def test_a_preview_tells_the_same_and_imports_nothing(
        self, api: Api, provider: provider_pb2.Provider
    ) -> None:
        with api.nothing_changes():
            preview = do_import(api, provider.name, validate_only=True)
        assert do_import(api, provider.name) == preview

    def test_a_pinned_version(self, api: Api, provider: provider_pb2.Provider) -> None:
        assert do_import(api, provider.name, catalog_version=VERSION).created_count > 10

    def test_a_replay_creates_nothing_again(self, api: Api, provider: provider_pb2.Provider) -> None:
        request_id = str(uuid4())
        first = do_import(api, provider.name, "o3", "gpt-4o", request_id=request_id)
        api.delete(first.results[0].provider_model)
        with api.nothing_changes():
            again = do_import(api, provider.name, "o3", "gpt-4o", request_id=request_id)
        assert [(result.upstream_model_id, result.action) for result in again.results] == [
            ("gpt-4o", SKIPPED)
        ]
        request = pb.ImportProviderModelsRequest(parent=provider.name, request_id=request_id)
        assert api.refuse("ImportProviderModels", request).reason == "REQUEST_ID_REUSED"

    def test_ids_in_use_are_stepped_around(self, api: Api, provider: provider_pb2.Provider) -> None:
        request = pb.CreateProviderModelRequest(
            parent=provider.name,
            provider_model_id="gpt-4o",
            provider_model=provider_model_pb2.ProviderModel(
                upstream_model_id="own", kind=provider_model_pb2.ModelKind.MODEL_KIND_CHAT
            ),
        )
        api.call("CreateProviderModel", request)
        [result] = do_import(api, provider.name, "gpt-4o").results
        assert result.provider_model == f"{provider.name}/models/gpt-4o-2"

    def test_a_kind_without_catalog(self, api: Api) -> None:
        parent = api.create().name
        refusal = api.refuse("ImportProviderModels", pb.ImportProviderModelsRequest(parent=parent))
        assert refusal.reason == "CATALOG_UNAVAILABLE"
        assert refusal.preconditions
        assert refusal.metadata["kind"] == "openai_compatible"
