"""ModelService: each method converts, calls one use case in a thread, and converts back."""

# ruff: noqa: N802 - methods are named as their RPCs

from __future__ import annotations

from codevector.providers.v1 import model_pb2
from codevector.providers.v1 import model_service_pb2 as pb

from service.domain.model import State
from service.rpc import convert, convert_models
from service.rpc.boundary import Exchange
from service.rpc.servicer import Servicer
from service.usecases import lists, models


class ModelServicer(Servicer):
    """The handlers, by RPC name."""

    async def ListModels(self, request: pb.ListModelsRequest, exchange: Exchange) -> pb.ListModelsResponse:
        page = await self._read(lists.list_models, convert.list_query(request))
        return pb.ListModelsResponse(
            models=[convert_models.model_to_pb(view) for view in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    async def GetModel(self, request: pb.GetModelRequest, exchange: Exchange) -> model_pb2.Model:
        return convert_models.model_to_pb(await self._read(models.get_model, request.name))

    async def CreateModel(self, request: pb.CreateModelRequest, exchange: Exchange) -> model_pb2.Model:
        draft = convert_models.model_draft(request.model)
        view = await self._write(exchange, models.create_model, request.model_id, draft)
        return convert_models.model_to_pb(view)

    async def UpdateModel(self, request: pb.UpdateModelRequest, exchange: Exchange) -> model_pb2.Model:
        draft = convert_models.model_draft(request.model)
        view = await self._write(
            exchange,
            models.update_model,
            draft,
            paths=request.update_mask.paths,
            allow_missing=request.allow_missing,
        )
        return convert_models.model_to_pb(view)

    async def DeleteModel(self, request: pb.DeleteModelRequest, exchange: Exchange) -> pb.DeleteModelResponse:
        impact = await self._write(
            exchange,
            models.delete_model,
            request.name,
            etag=request.etag,
            allow_missing=request.allow_missing,
            impact_token=request.impact_token,
        )
        return pb.DeleteModelResponse(
            impact=convert_models.impact_to_pb(impact), revision=exchange.revision or 0
        )

    async def EnableModel(self, request: pb.EnableModelRequest, exchange: Exchange) -> model_pb2.Model:
        return await self._set_state(request, exchange, State.ACTIVE)

    async def DisableModel(self, request: pb.DisableModelRequest, exchange: Exchange) -> model_pb2.Model:
        return await self._set_state(request, exchange, State.DISABLED)

    async def _set_state(
        self, request: pb.EnableModelRequest | pb.DisableModelRequest, exchange: Exchange, state: State
    ) -> model_pb2.Model:
        view = await self._write(exchange, models.set_model_state, request.name, state, etag=request.etag)
        return convert_models.model_to_pb(view)

    async def AddModelBackend(
        self, request: pb.AddModelBackendRequest, exchange: Exchange
    ) -> model_pb2.Model:
        backend = convert_models.backend_from_pb(request.backend, field="backend")
        view = await self._write(exchange, models.add_backend, request.model, backend, etag=request.etag)
        return convert_models.model_to_pb(view)

    async def RemoveModelBackend(
        self, request: pb.RemoveModelBackendRequest, exchange: Exchange
    ) -> model_pb2.Model:
        view = await self._write(
            exchange, models.remove_backend, request.model, request.provider_model, etag=request.etag
        )
        return convert_models.model_to_pb(view)
