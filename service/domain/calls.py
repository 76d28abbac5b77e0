"""Who asks for what, and within which limits. Made once at the boundary; every write carries one."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The ``request_id`` of a request's body, with a keyed fingerprint of the whole body (32 bytes)."""

    request_id: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``deadline`` is on the monotonic clock, in seconds; ``request_id`` is the one in the logs.

    With ``validate_only`` the store does everything and rolls it back. ``key`` makes a repeated request
    return what the first one made.
    """

    principal: str
    method: str
    deadline: float = math.inf
    request_id: str = ""
    validate_only: bool = False
    key: IdempotencyKey | None = None

    def __post_init__(self) -> None:
        """A dry run neither counts as the request nor repeats it."""
        if self.validate_only and self.key is not None:
            object.__setattr__(self, "key", None)

    def seconds_left(self) -> float:
        """Return what remains for a part that this request waits for; never below a millisecond."""
        return max(0.001, self.deadline - time.monotonic())


OWN = Call(principal="system:registry", method="")
"""What the registry writes by itself: the state of its sidecar, and what it forgets."""
