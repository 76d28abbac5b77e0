"""ProviderService: each method converts, calls one use case in a thread, and converts back."""

# ruff: noqa: N802 - methods are named as their RPCs

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from codevector.providers.v1 import catalog_pb2, provider_model_pb2, provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from service.domain.credential_hints import prefix_warning
from service.domain.errors import RegistryError
from service.domain.model import ProviderKind, State
from service.domain.upstreams import Outcome, ProviderValidation
from service.rpc import convert, convert_catalogs, convert_models, errors
from service.rpc.boundary import Exchange
from service.rpc.servicer import Reached, Servicer
from service.rpc.threads import Lanes
from service.usecases import (
    batches,
    catalogs,
    imports,
    lists,
    provider_models,
    providers,
    retirements,
    upstreams,
)
from service.usecases.context import Context
from service.usecases.sealed_writes import CredentialChange
from service.usecases.upstream_calls import UpstreamCalls

T = TypeVar("T")


class ProviderServicer(Servicer):
    """The handlers, by RPC name."""

    def __init__(
        self,
        ctx: Context,
        lanes: Lanes,
        reached: Reached,
        *,
        upstream_calls: UpstreamCalls,
    ) -> None:
        super().__init__(ctx, lanes, reached)
        self._upstream_calls = upstream_calls

    async def ListProviders(
        self, request: pb.ListProvidersRequest, exchange: Exchange
    ) -> pb.ListProvidersResponse:
        page = await self._read(lists.list_providers, convert.list_query(request))
        return pb.ListProvidersResponse(
            providers=[convert.provider_to_pb(view) for view in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    async def GetProvider(self, request: pb.GetProviderRequest, exchange: Exchange) -> provider_pb2.Provider:
        return convert.provider_to_pb(await self._read(providers.get_provider, request.name))

    async def CreateProvider(
        self, request: pb.CreateProviderRequest, exchange: Exchange
    ) -> provider_pb2.Provider:
        draft = convert.provider_draft(request.provider)
        credential = convert.credential_change(request.credential) if request.HasField("credential") else None
        view = await (self._write if credential is None else self._seal)(
            exchange,
            providers.create_provider,
            draft,
            provider_id=request.provider_id,
            credential=credential,
            start_disabled=request.start_disabled,
        )
        _warn(exchange, view.provider.kind, credential)
        return convert.provider_to_pb(view)

    async def UpdateProvider(
        self, request: pb.UpdateProviderRequest, exchange: Exchange
    ) -> provider_pb2.Provider:
        draft = convert.provider_draft(request.provider)
        credential = convert.credential_change(request.credential) if request.HasField("credential") else None
        view = await (self._write if credential is None else self._seal)(
            exchange,
            providers.update_provider,
            draft,
            paths=request.update_mask.paths,
            credential=credential,
            allow_missing=request.allow_missing,
        )
        _warn(exchange, view.provider.kind, credential)
        return convert.provider_to_pb(view)

    async def SetProviderCredential(
        self, request: pb.SetProviderCredentialRequest, exchange: Exchange
    ) -> provider_pb2.Provider:
        credential = convert.credential_change(request.credential)
        verified = await self._verified(request, credential, exchange) if request.verify else None
        view = await self._seal(
            exchange,
            providers.set_provider_credential,
            request.name,
            credential,
            expected_version=request.expected_version,
        )
        _warn(exchange, view.provider.kind, credential)
        if verified is not None and verified.outcome is not Outcome.SUCCEEDED:
            exchange.warning = f"the credential was not verified: {verified.message}"
        return convert.provider_to_pb(view)

    async def _verified(
        self, request: pb.SetProviderCredentialRequest, credential: CredentialChange, exchange: Exchange
    ) -> ProviderValidation | None:
        subject = await self._read(
            upstreams.credential_subject,
            exchange.call,
            request.name,
            credential,
            expected_version=request.expected_version,
        )
        if subject is None:
            return None
        return await self._ask(
            subject, lambda: upstreams.try_credential(self._upstream_calls, exchange.call, subject)
        )

    async def ValidateProvider(
        self, request: pb.ValidateProviderRequest, exchange: Exchange
    ) -> pb.ValidateProviderResponse:
        subject = await self._subject(request)
        found = await self._ask(
            subject, lambda: upstreams.validate_provider(self._upstream_calls, exchange.call, subject)
        )
        return pb.ValidateProviderResponse(validation=convert.validation_to_pb(found))

    async def DiscoverProviderModels(
        self, request: pb.DiscoverProviderModelsRequest, exchange: Exchange
    ) -> pb.DiscoverProviderModelsResponse:
        subject = await self._subject(request)
        discovery = await self._ask(
            subject,
            lambda: upstreams.discover_provider_models(
                self._ctx, self._upstream_calls, exchange.call, subject
            ),
        )
        return convert.discovery_to_pb(discovery)

    async def _subject(
        self, request: pb.ValidateProviderRequest | pb.DiscoverProviderModelsRequest
    ) -> upstreams.Subject:
        target, candidate = convert.validation_target(request), convert.candidate_credential(request)
        return await self._read(upstreams.subject_of, target, candidate)

    async def _ask(self, subject: upstreams.Subject, work: Callable[[], T]) -> T:
        """Ask an upstream, among the few calls that one host has at a time."""
        return await self._lanes.upstreams.run(work, host=subject.host)

    async def EnableProvider(
        self, request: pb.EnableProviderRequest, exchange: Exchange
    ) -> provider_pb2.Provider:
        return await self._set_provider_state(request, exchange, State.ACTIVE)

    async def DisableProvider(
        self, request: pb.DisableProviderRequest, exchange: Exchange
    ) -> provider_pb2.Provider:
        return await self._set_provider_state(request, exchange, State.DISABLED)

    async def _set_provider_state(
        self, request: pb.EnableProviderRequest | pb.DisableProviderRequest, exchange: Exchange, state: State
    ) -> provider_pb2.Provider:
        view = await self._write(
            exchange, providers.set_provider_state, request.name, state, etag=request.etag
        )
        return convert.provider_to_pb(view)

    async def DeleteProvider(
        self, request: pb.DeleteProviderRequest, exchange: Exchange
    ) -> pb.DeleteProviderResponse:
        impact = await self._write(
            exchange,
            providers.delete_provider,
            request.name,
            etag=request.etag,
            force=request.force,
            allow_missing=request.allow_missing,
            impact_token=request.impact_token,
        )
        return pb.DeleteProviderResponse(
            impact=convert_models.impact_to_pb(impact), revision=exchange.revision or 0
        )

    async def ListProviderModels(
        self, request: pb.ListProviderModelsRequest, exchange: Exchange
    ) -> pb.ListProviderModelsResponse:
        page = await self._read(lists.list_provider_models, request.parent, convert.list_query(request))
        return pb.ListProviderModelsResponse(
            provider_models=[convert.provider_model_to_pb(view) for view in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    async def GetProviderModel(
        self, request: pb.GetProviderModelRequest, exchange: Exchange
    ) -> provider_model_pb2.ProviderModel:
        view = await self._read(provider_models.get_provider_model, request.name)
        return convert.provider_model_to_pb(view)

    async def CreateProviderModel(
        self, request: pb.CreateProviderModelRequest, exchange: Exchange
    ) -> provider_model_pb2.ProviderModel:
        draft = convert.provider_model_draft(request.provider_model)
        view = await self._write(
            exchange,
            provider_models.create_provider_model,
            request.parent,
            draft,
            model_id=request.provider_model_id,
        )
        return convert.provider_model_to_pb(view)

    async def UpdateProviderModel(
        self, request: pb.UpdateProviderModelRequest, exchange: Exchange
    ) -> provider_model_pb2.ProviderModel:
        draft = convert.provider_model_draft(request.provider_model)
        view = await self._write(
            exchange,
            provider_models.update_provider_model,
            draft,
            paths=request.update_mask.paths,
            allow_missing=request.allow_missing,
        )
        return convert.provider_model_to_pb(view)

    async def EnableProviderModel(
        self, request: pb.EnableProviderModelRequest, exchange: Exchange
    ) -> provider_model_pb2.ProviderModel:
        return await self._set_provider_model_state(request, exchange, State.ACTIVE)

    async def DisableProviderModel(
        self, request: pb.DisableProviderModelRequest, exchange: Exchange
    ) -> provider_model_pb2.ProviderModel:
        return await self._set_provider_model_state(request, exchange, State.DISABLED)

    async def _set_provider_model_state(
        self,
        request: pb.EnableProviderModelRequest | pb.DisableProviderModelRequest,
        exchange: Exchange,
        state: State,
    ) -> provider_model_pb2.ProviderModel:
        view = await self._write(
            exchange, provider_models.set_provider_model_state, request.name, state, etag=request.etag
        )
        return convert.provider_model_to_pb(view)

    async def DeleteProviderModel(
        self, request: pb.DeleteProviderModelRequest, exchange: Exchange
    ) -> pb.DeleteProviderModelResponse:
        impact = await self._write(
            exchange,
            provider_models.delete_provider_model,
            request.name,
            etag=request.etag,
            force=request.force,
            allow_missing=request.allow_missing,
            impact_token=request.impact_token,
        )
        return pb.DeleteProviderModelResponse(
            impact=convert_models.impact_to_pb(impact), revision=exchange.revision or 0
        )

    async def BatchEnableProviderModels(
        self, request: pb.BatchEnableProviderModelsRequest, exchange: Exchange
    ) -> pb.BatchEnableProviderModelsResponse:
        report = await self._set_states(request, exchange, State.ACTIVE)
        return pb.BatchEnableProviderModelsResponse(**_batch(report, request.names))

    async def BatchDisableProviderModels(
        self, request: pb.BatchDisableProviderModelsRequest, exchange: Exchange
    ) -> pb.BatchDisableProviderModelsResponse:
        report = await self._set_states(request, exchange, State.DISABLED)
        return pb.BatchDisableProviderModelsResponse(**_batch(report, request.names))

    async def _set_states(
        self,
        request: pb.BatchEnableProviderModelsRequest | pb.BatchDisableProviderModelsRequest,
        exchange: Exchange,
        state: State,
    ) -> batches.BatchReport:
        return await self._write(exchange, batches.set_states, request.names, state, parent=request.parent)

    async def BatchDeleteProviderModels(
        self, request: pb.BatchDeleteProviderModelsRequest, exchange: Exchange
    ) -> pb.BatchDeleteProviderModelsResponse:
        report = await self._write(
            exchange,
            batches.delete_provider_models,
            request.names,
            parent=request.parent,
            force=request.force,
            impact_token=request.impact_token,
        )
        impact = convert_models.impact_to_pb(report.impact) if report.impact else None
        return pb.BatchDeleteProviderModelsResponse(**_batch(report, request.names), impact=impact)

    async def ListRetirements(
        self, request: pb.ListRetirementsRequest, exchange: Exchange
    ) -> pb.ListRetirementsResponse:
        page = await self._read(
            retirements.list_retirements,
            convert.list_query(request),
            within_days=request.within_days,
            parent=request.parent,
        )
        return convert_models.retirements_to_pb(page)

    async def ImportProviderModels(
        self, request: pb.ImportProviderModelsRequest, exchange: Exchange
    ) -> pb.ImportProviderModelsResponse:
        report = await self._write(
            exchange,
            imports.import_provider_models,
            request.parent,
            convert.import_choices(request),
            catalog_version=request.catalog_version,
            plan_digest=request.plan_digest,
        )
        return convert.import_report_to_pb(report)

    async def ListCatalogs(
        self, request: pb.ListCatalogsRequest, exchange: Exchange
    ) -> pb.ListCatalogsResponse:
        page = catalogs.list_catalogs(self._ctx, convert.list_query(request))
        return pb.ListCatalogsResponse(
            catalogs=[convert_catalogs.catalog_to_pb(catalog, with_models=False) for catalog in page.items],
            next_page_token=page.next_page_token,
        )

    async def GetCatalog(self, request: pb.GetCatalogRequest, exchange: Exchange) -> catalog_pb2.Catalog:
        catalog = catalogs.get_catalog(self._ctx, request.name, request.catalog_version)
        return convert_catalogs.catalog_to_pb(catalog, with_models=True)

    async def ListProviderKinds(
        self, request: pb.ListProviderKindsRequest, exchange: Exchange
    ) -> pb.ListProviderKindsResponse:
        page = catalogs.list_provider_kinds(self._ctx, convert.list_query(request))
        return pb.ListProviderKindsResponse(
            provider_kinds=[convert_catalogs.kind_info_to_pb(info) for info in page.items],
            next_page_token=page.next_page_token,
        )


def _batch(report: batches.BatchReport, names: Sequence[str]) -> dict[str, Any]:
    """Return the fields that the answers of all batches have."""
    failed = [isinstance(outcome, RegistryError) for outcome in report.outcomes]
    return {
        "results": [
            pb.ProviderModelResult(provider_model=name, error=errors.status_of(outcome))
            if isinstance(outcome, RegistryError)
            else pb.ProviderModelResult(provider_model=name, action=convert.enum_number(outcome))
            for name, outcome in zip(names, report.outcomes, strict=True)
        ],
        "changed_count": len(failed)
        - sum(failed)
        - sum(outcome is batches.Action.UNCHANGED for outcome in report.outcomes),
        "failed_count": sum(failed),
        "revision": report.revision,
    }


def _warn(exchange: Exchange, kind: ProviderKind, credential: CredentialChange | None) -> None:
    """Say in a trailer that a key looks like another vendor's. Formats change, so it is never refused."""
    if credential is not None:
        exchange.warning = prefix_warning(kind, credential.material)
