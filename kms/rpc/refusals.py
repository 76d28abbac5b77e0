"""What log and audit get of refused calls: the first of a kind by itself, the others as a count a minute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from structlog.typing import FilteringBoundLogger

from kms import telemetry
from kms.audit.keyring import Principal
from kms.audit.log import Audit, AuditUnavailable
from kms.rpc.roles import Role
from runtime.refusals import Refusals

_EVENT = "refused"


class Refused(NamedTuple):
    """A kind of refusal, as the log tells them apart."""

    role: Role
    method: str
    code: str
    reason: str


class RefusedCalls:
    """All refused calls of a sidecar. Safe for threads."""

    def __init__(self, audit: Audit, logger: FilteringBoundLogger, monotonic: Callable[[], float]) -> None:
        self._audit = audit
        self._logger = logger
        self._logged: Refusals[Refused] = Refusals(monotonic)
        self._recorded: Refusals[tuple[str, str]] = Refusals(monotonic)

    def is_first(self, refused: Refused) -> bool:
        """Return whether a call is to be logged by itself; if not, it has been counted."""
        return self._logged.is_first(refused)

    def record(self, principal: Principal, method: str) -> None:
        """Record a call that a role may not make. What cannot be written now is counted."""
        kind = str(principal), method
        if not self._recorded.is_first(kind):
            return
        try:
            self._audit.record(_EVENT, {"method": method, "principal": kind[0]}, synced=False)
        except AuditUnavailable:
            self._recorded.add(kind, 1)

    def tick(self) -> None:
        """Write the counts if a minute has passed. To be called every few seconds.

        Raises:
            AuditUnavailable: the audit cannot be written; its counts are kept.
        """
        self._log(self._logged.due())
        self._record(self._recorded.due())

    def flush(self) -> None:
        """Write all counts. Raises AuditUnavailable."""
        self._log(self._logged.take())
        self._record(self._recorded.take())

    def _log(self, counts: Mapping[Refused, int]) -> None:
        for refused, count in counts.items():
            self._logger.info(
                telemetry.CALLS_REFUSED,
                role=refused.role.value,
                method=refused.method,
                code=refused.code,
                reason=refused.reason,
                count=count,
            )

    def _record(self, counts: Mapping[tuple[str, str], int]) -> None:
        trouble: AuditUnavailable | None = None
        for (principal, method), count in counts.items():
            fields = {"count": count, "method": method, "principal": principal}
            try:
                self._audit.record(_EVENT, fields, synced=False)
            except AuditUnavailable as error:
                self._recorded.add((principal, method), count)
                trouble = error
        if trouble is not None:
            raise trouble
