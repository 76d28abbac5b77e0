"""``providerctl completion`` and what its scripts call. Names come from the registry, if it is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cli.failures import Failure
from cli.line.command import Completes
from cli.line.completion import SCRIPTS, candidates
from cli.nouns.root import ROOT
from cli.resources.names import short
from cli.session import Session
from runtime.calls import CallRefused

_SECONDS = 2.0
_MOST = 1000


def completion(session: Session, *, shell: str) -> None:
    """Print the script of a shell."""
    print(SCRIPTS[shell], end="", file=session.world.stdout, flush=True)


def complete(session: Session, *, word: list[str]) -> None:
    """Print what may stand in place of the last word."""

    def ids(sort: Completes) -> Sequence[str]:
        try:
            return _IDS[sort](session)
        except (CallRefused, Failure):
            return ()

    for candidate, explanation in candidates(ROOT, word, ids):
        print(f"{candidate}\t{explanation}" if explanation else candidate, file=session.world.stdout)
    session.world.stdout.flush()


def _providers(session: Session) -> list[str]:
    from codevector.providers.v1 import provider_service_pb2 as pb

    request = pb.ListProvidersRequest(page_size=_MOST)
    answer = session.registry.call(session.registry.providers.ListProviders, request, seconds=_SECONDS)
    return [short(each.name) for each in answer.providers]


def _provider_models(session: Session) -> list[str]:
    from codevector.providers.v1 import provider_service_pb2 as pb

    request = pb.ListProviderModelsRequest(parent="providers/-", page_size=_MOST)
    rpc = session.registry.providers.ListProviderModels
    answer = session.registry.call(rpc, request, seconds=_SECONDS)
    return [short(each.name) for each in answer.provider_models]


def _models(session: Session) -> list[str]:
    from codevector.providers.v1 import model_service_pb2 as pb

    request = pb.ListModelsRequest(page_size=_MOST)
    answer = session.registry.call(session.registry.models.ListModels, request, seconds=_SECONDS)
    return [short(each.name) for each in answer.models]


def _catalogs(session: Session) -> list[str]:
    from codevector.providers.v1 import provider_service_pb2 as pb

    request = pb.ListCatalogsRequest(page_size=_MOST)
    answer = session.registry.call(session.registry.providers.ListCatalogs, request, seconds=_SECONDS)
    return [short(each.name) for each in answer.catalogs]


def _kinds(session: Session) -> list[str]:
    from cli.providers.kinds import kinds

    return kinds(session).words()


def _key_versions(session: Session) -> list[str]:
    from cli.keys import versions

    return [versions.short_name(each.name) for each in versions.list_versions(session.admin)]


_IDS: Mapping[Completes, Callable[[Session], Sequence[str]]] = {
    Completes.PROVIDERS: _providers,
    Completes.PROVIDER_MODELS: _provider_models,
    Completes.MODELS: _models,
    Completes.CATALOGS: _catalogs,
    Completes.KINDS: _kinds,
    Completes.KEY_VERSIONS: _key_versions,
}
