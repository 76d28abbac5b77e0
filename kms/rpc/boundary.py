"""Around every method: the role, the shape of the request, errors to statuses, one log line."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from protovalidate import Validator
from structlog.typing import FilteringBoundLogger

from kms import telemetry
from kms.audit.keyring import Principal
from kms.errors import SidecarError
from kms.rpc.errors import (
    InternalError,
    InvalidRequest,
    MalformedRequest,
    RoleRequired,
    code_of,
    status_of,
)
from kms.rpc.refusals import Refused, RefusedCalls
from kms.rpc.roles import Role, allowed_roles
from kms.rpc.servicers import Behaviour
from runtime import statuses
from runtime.logs import bug_fields
from runtime.requests import REQUEST_ID, broken_rule, request_id_of


@dataclass(frozen=True, slots=True)
class Boundary:
    """The boundary of one socket."""

    principal: Principal
    role: Role
    validator: Validator
    logger: FilteringBoundLogger
    refusals: RefusedCalls

    def handlers(
        self, service: ServiceDescriptor, behaviours: Mapping[str, Behaviour]
    ) -> grpc.GenericRpcHandler:
        """Return the service, the boundary around each method; one without a behaviour is a KeyError."""
        return grpc.method_handlers_generic_handler(
            service.full_name,
            {method.name: self._handler(method, behaviours[method.name]) for method in service.methods},
        )

    def _handler(self, method: MethodDescriptor, behaviour: Behaviour) -> grpc.RpcMethodHandler[Any, Any]:
        return grpc.unary_unary_rpc_method_handler(
            self._bounded(method.full_name, GetMessageClass(method.input_type), behaviour),
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )

    def _bounded(
        self, method: str, request_type: type[Message], behaviour: Behaviour
    ) -> Callable[[bytes, grpc.ServicerContext], Message]:
        """Parse requests here: gRPC would do it before the role is checked, and report a bug."""
        allowed = allowed_roles(method)

        def call(octets: bytes, context: grpc.ServicerContext) -> Message:
            started = time.perf_counter()
            request_id = request_id_of(context.invocation_metadata()) or str(uuid4())
            context.set_trailing_metadata(((REQUEST_ID, request_id),))
            try:
                if self.role not in allowed:
                    self.refusals.record(self.principal, method)
                    raise RoleRequired(allowed)
                request = _parsed(request_type, octets)
                _refuse_invalid(self.validator, request)
                response = behaviour(request)
            except SidecarError as refusal:
                error = refusal
            except Exception as bug:
                self.logger.error(
                    telemetry.CALL_FAILED, method=method, request_id=request_id, **bug_fields(bug)
                )
                error = InternalError(request_id)
            else:
                self._log(method, request_id, started, code="OK", **_counts(response))
                return response
            code = code_of(error).name
            # A bug has its line each time: the caller was told to look for its request id.
            told = isinstance(error, InternalError) or self.refusals.is_first(
                Refused(self.role, method, code, error.reason)
            )
            level = logging.INFO if told else logging.DEBUG
            self._log(method, request_id, started, level=level, code=code, reason=error.reason)
            # abort raises, so it stands outside the try: a caught one would look like a bug (grpc#36009).
            context.abort_with_status(statuses.Aborted(status_of(error), (REQUEST_ID, request_id)))
            raise AssertionError("abort_with_status returned")

        return call

    def _log(
        self, method: str, request_id: str, started: float, *, level: int = logging.INFO, **fields: str | int
    ) -> None:
        """Write the call's one log line."""
        self.logger.log(
            level,
            telemetry.CALL,
            method=method,
            role=self.role.value,
            request_id=request_id,
            duration_ms=round((time.perf_counter() - started) * 1000, 3),
            **fields,
        )


def _parsed(request_type: type[Message], octets: bytes) -> Message:
    try:
        return request_type.FromString(octets)
    except DecodeError:
        raise MalformedRequest from None


def _refuse_invalid(validator: Validator, request: Message) -> None:
    violations = validator.collect_violations(request)
    if violations:
        raise InvalidRequest([broken_rule(violation) for violation in violations])


def _counts(response: Message) -> dict[str, int]:
    """Return how many items a batch had and how many failed; nothing for other responses."""
    results = getattr(response, "results", None)
    if results is None:
        return {}
    failed = sum(1 for result in results if getattr(result, "error", result).code)
    return {"items": len(results), "failed": failed}
