"""Requests that come twice: a request_id answers with the resource it made, as it is now.

Only the method, the caller, the id, a keyed fingerprint of the body and the resource's name are kept, for 24
hours.
"""

from __future__ import annotations

from datetime import timedelta

from service.domain.calls import Call
from service.domain.errors import Aborted, Reason, ResourceRef
from service.store import ReadUnit, WriteUnit
from service.usecases.preconditions import resource_type

KEPT = timedelta(hours=24)


def replayed(unit: ReadUnit, call: Call) -> str | None:
    """Return the resource that an earlier request with this id made, or None when it is new.

    Raises:
        Aborted: REQUEST_ID_REUSED, when the earlier request had another body.
    """
    key = call.key
    if key is None:
        return None
    earlier = unit.requests.get(call.principal, call.method, key.request_id)
    if earlier is None:
        return None
    if earlier.fingerprint != key.fingerprint:
        raise Aborted(
            f"this request_id made {earlier.resource} with a different request within the last 24 hours: "
            "send a new one",
            reason=Reason.REQUEST_ID_REUSED,
            metadata={"request_id": key.request_id, "name": earlier.resource},
            resource=ResourceRef(resource_type(earlier.resource), earlier.resource),
        )
    return earlier.resource


def remember(unit: WriteUnit, call: Call, resource: str) -> None:
    """Keep the request beside what it wrote, in the same transaction."""
    key = call.key
    if key is not None:
        unit.requests.remember(
            call.principal, call.method, key.request_id, key.fingerprint, resource, ttl=KEPT
        )
