"""The kinds of provider, as the registry describes them: nothing here knows one by name."""

from __future__ import annotations

from codevector.providers.v1 import provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from codevector.providers.v1.catalog_pb2 import ProviderKindInfo

from cli.failures import UsageFailure
from cli.resources.lists import every
from cli.session import Session

_PREFIX = "PROVIDER_KIND_"


class Kinds(list[ProviderKindInfo]):
    """All kinds, in the registry's order."""

    def named(self, text: str) -> ProviderKindInfo:
        """Return the kind that is written ``openai``, ``openai-compatible`` or ``PROVIDER_KIND_OPENAI``.

        Raises:
            UsageFailure: there is none.
        """
        wanted = text.lower().replace("-", "_").removeprefix(_PREFIX.lower())
        for each in self:
            if kind_word(each.kind) == wanted:
                return each
        known = ", ".join(kind_word(each.kind) for each in self)
        raise UsageFailure(f"there is no kind {text!r}: choose from {known}")

    def words(self) -> list[str]:
        """Return how they are typed."""
        return [kind_word(each.kind) for each in self]

    def of(self, kind: int) -> ProviderKindInfo:
        """Return the kind of that number."""
        return next(each for each in self if each.kind == kind)


def kinds(session: Session) -> Kinds:
    """Return what the registry says of all kinds."""
    rpc = session.registry.providers.ListProviderKinds
    return Kinds(every(session, rpc, pb.ListProviderKindsRequest(), lambda page: page.provider_kinds))


def kind_word(kind: int) -> str:
    """Return ``openai_compatible`` and the like; the number of a kind that this command does not know."""
    value = provider_pb2.ProviderKind.DESCRIPTOR.values_by_number.get(kind)
    return str(kind) if value is None else value.name.removeprefix(_PREFIX).lower()
