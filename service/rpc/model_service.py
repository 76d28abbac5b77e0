"""ModelService: each method converts, calls one use case in a thread, and converts back."""

# ruff: noqa: N802 - methods are named as their RPCs

from __future__ import annotations

from codevector.providers.v1 import model_pb2
from codevector.providers.v1 import model_service_pb2 as pb

from service.domain.model import State
from service.rpc import convert, convert_models
from service.rpc.boundary import Exchange
from service.rpc.writing import WritingServicer
from service.usecases import lists, models


class ModelServicer(WritingServicer):
    """The handlers, by RPC name."""

    async def ListModels(self, request: pb.ListModelsRequest, exchange: Exchange) -> pb.ListModelsResponse:
        page = await self._run(lambda: lists.list_models(self._ctx, convert.list_query(request)))
        return pb.ListModelsResponse(
            models=[convert_models.model_to_pb(view) for view in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    async def GetModel(self, request: pb.GetModelRequest, exchange: Exchange) -> model_pb2.Model:
        return convert_models.model_to_pb(await self._run(lambda: models.get_model(self._ctx, request.name)))

    async def CreateModel(self, request: pb.CreateModelRequest, exchange: Exchange) -> model_pb2.Model:
        draft = convert_models.model_draft(request.model)
        view = await self._write(
            exchange,
            lambda: models.create_model(
                self._ctx,
                exchange.call,
                request.model_id,
                draft,
                validate_only=request.validate_only,
                request=self._request_id(request.request_id, request),
            ),
            preview=request.validate_only,
        )
        return convert_models.model_to_pb(view)

    async def UpdateModel(self, request: pb.UpdateModelRequest, exchange: Exchange) -> model_pb2.Model:
        draft = convert_models.model_draft(request.model)
        view = await self._write(
            exchange,
            lambda: models.update_model(
                self._ctx,
                exchange.call,
                draft,
                paths=request.update_mask.paths,
                allow_missing=request.allow_missing,
                validate_only=request.validate_only,
            ),
            preview=request.validate_only,
        )
        return convert_models.model_to_pb(view)

    async def DeleteModel(self, request: pb.DeleteModelRequest, exchange: Exchange) -> pb.DeleteModelResponse:
        impact = await self._write(
            exchange,
            lambda: models.delete_model(
                self._ctx,
                request.name,
                etag=request.etag,
                allow_missing=request.allow_missing,
                validate_only=request.validate_only,
                impact_token=request.impact_token,
            ),
            preview=request.validate_only,
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
        view = await self._write(
            exchange,
            lambda: models.set_model_state(self._ctx, request.name, state, etag=request.etag),
            preview=False,
        )
        return convert_models.model_to_pb(view)

    async def AddModelBackend(
        self, request: pb.AddModelBackendRequest, exchange: Exchange
    ) -> model_pb2.Model:
        backend = convert_models.backend_from_pb(request.backend, field="backend")
        view = await self._write(
            exchange,
            lambda: models.add_backend(self._ctx, request.model, backend, etag=request.etag),
            preview=False,
        )
        return convert_models.model_to_pb(view)

    async def RemoveModelBackend(
        self, request: pb.RemoveModelBackendRequest, exchange: Exchange
    ) -> model_pb2.Model:
        view = await self._write(
            exchange,
            lambda: models.remove_backend(
                self._ctx, request.model, request.provider_model, etag=request.etag
            ),
            preview=False,
        )
        return convert_models.model_to_pb(view)
