"""Requests that come twice: a request_id answers with the resource it made, as it is now.

Only the method, the caller, the id, a keyed fingerprint of the body and the resource's name are kept, for 24
hours.
"""

from __future__ import annotations

from datetime import timedelta

from service.domain.errors import Aborted, Reason, ResourceRef
from service.store import ReadUnit, WriteUnit
from service.usecases.context import Call, RequestId
from service.usecases.preconditions import resource_type

KEPT = timedelta(hours=24)


def replayed(unit: ReadUnit, call: Call, request: RequestId | None) -> str | None:
    """The resource that an earlier request with this id made, or None when it is new.

    Raises:
        Aborted: REQUEST_ID_REUSED, when the earlier request had another body.
    """
    if request is None:
        return None
    earlier = unit.remembered_request(call.principal, call.method, request.request_id)
    if earlier is None:
        return None
    if earlier.fingerprint != request.fingerprint:
        raise Aborted(
            f"this request_id made {earlier.resource} with a different request within the last 24 hours: "
            "send a new one",
            reason=Reason.REQUEST_ID_REUSED,
            metadata={"request_id": request.request_id, "name": earlier.resource},
            resource=ResourceRef(resource_type(earlier.resource), earlier.resource),
        )
    return earlier.resource


def remember(unit: WriteUnit, call: Call, request: RequestId | None, resource: str) -> None:
    """Keep the request beside what it wrote, in the same transaction."""
    if request is not None:
        unit.remember_request(
            call.principal, call.method, request.request_id, request.fingerprint, resource, ttl=KEPT
        )
