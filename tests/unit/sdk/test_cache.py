"""How long an opened credential lives, by a clock that the tests hold."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import codevector_providers as sdk
import pytest
from codevector_providers._cache import CredentialCache
from codevector_providers.table import Entries, ProviderModels, RoutingTable

from tests.unit.sdk.test_table import provider

NAME = "providers/p"


@dataclass
class Bench:
    """A cache, and the world it sees: a clock, a watch, a table, and what opening comes to."""

    now: float = 1000.0
    live: bool = True
    providers: dict[str, sdk.RoutingProvider] = field(default_factory=lambda: {NAME: provider()})
    failure: BaseException | None = None
    before_open: Callable[[], None] = lambda: None
    openings: int = 0

    def __post_init__(self) -> None:
        self.cache = CredentialCache(
            lookup=self.lookup, opens=self.open, is_live=lambda: self.live, clock=lambda: self.now
        )

    def lookup(self, name: str) -> sdk.RoutingProvider:
        try:
            return self.providers[name]
        except KeyError:
            raise sdk.ProviderNotFound("not in the table") from None

    def open(self, at: sdk.RoutingProvider) -> tuple[sdk.RoutingProvider, sdk.Credential | None]:
        self.openings += 1
        self.before_open()
        if self.failure is not None:
            raise self.failure
        if at.credential_type is sdk.CredentialType.UNSPECIFIED:
            return at, None
        return at, sdk.Credential(
            provider=at.name,
            credential_type=at.credential_type,
            version=at.credential_version,
            destinations=(),
            fields={"api_key": f"opened-{self.openings}"},
        )

    def key(self, name: str = NAME) -> str:
        _, credential = self.cache.get(name)
        assert credential is not None
        return credential.reveal("api_key")

    def change(self, **changes: Any) -> None:
        self.providers[NAME] = provider(**changes)

    def follow(self) -> None:
        table = RoutingTable(
            "s", 1, "s@1", Entries.of(self.providers.values()), ProviderModels.of([]), Entries.of([])
        )
        self.cache.follow(table)


@pytest.fixture
def bench() -> Bench:
    return Bench()


AWAY = sdk.KmsUnavailable("away")


class TestWhileTheWatchIsLive:
    def test_used_until_it_is_due_and_opened_anew_then(self, bench: Bench) -> None:
        assert bench.key() == "opened-1"
        bench.now += 239
        assert bench.key() == "opened-1"
        bench.now += 1
        assert bench.key() == "opened-2"

    def test_nobody_answers(self, bench: Bench) -> None:
        """300 s from the unwrap, and not a second more."""
        bench.key()
        bench.failure = AWAY
        bench.now += 299
        assert bench.key() == "opened-1"
        bench.now += 1
        with pytest.raises(sdk.KmsUnavailable):
            bench.key()

    def test_use_extends_nothing(self, bench: Bench) -> None:
        bench.key()
        bench.failure = AWAY
        for _ in range(29):
            bench.now += 10
            assert bench.key() == "opened-1"
        bench.now += 10
        with pytest.raises(sdk.KmsUnavailable):
            bench.key()

    def test_the_deadline_counts_from_before_the_unwrap(self, bench: Bench) -> None:
        def slowly() -> None:
            bench.now += 50

        bench.before_open = slowly
        bench.key()
        bench.before_open = lambda: None
        bench.now += 189
        assert bench.key() == "opened-1"
        bench.now += 1
        assert bench.key() == "opened-2"


class TestWithoutALiveWatch:
    def test_fresh_for_a_minute(self, bench: Bench) -> None:
        bench.live = False
        bench.key()
        bench.now += 59
        assert bench.key() == "opened-1"
        bench.now += 1
        assert bench.key() == "opened-2"

    def test_nobody_answers(self, bench: Bench) -> None:
        """Ten minutes from the unwrap, and not a second more."""
        bench.live = False
        bench.key()
        bench.failure = sdk.RegistryUnavailable("away")
        bench.now += 599
        assert bench.key() == "opened-1"
        bench.now += 1
        with pytest.raises(sdk.RegistryUnavailable):
            bench.key()

    def test_nobody_is_asked_again_for_each_request(self, bench: Bench) -> None:
        bench.live = False
        bench.key()
        bench.failure = AWAY
        bench.now += 60
        for _ in range(20):
            assert bench.key() == "opened-1"
        assert bench.openings == 2
        bench.now += 5
        assert bench.key() == "opened-1"
        assert bench.openings == 3

    def test_a_watch_that_came_back_ends_what_is_too_old(self, bench: Bench) -> None:
        bench.live = False
        bench.key()
        bench.failure = AWAY
        bench.now += 400
        assert bench.key() == "opened-1"
        bench.live = True
        with pytest.raises(sdk.KmsUnavailable):
            bench.key()


class TestDroppedAtOnce:
    def test_disabled(self, bench: Bench) -> None:
        bench.key()
        del bench.providers[NAME]
        with pytest.raises(sdk.ProviderNotFound):
            bench.key()
        bench.follow()
        assert len(bench.cache) == 0
        bench.change()
        assert bench.key() == "opened-2"

    @pytest.mark.parametrize(
        "changes",
        [
            {"credential_version": 2},
            {"uid": "7b0d3f0b-8f11-4a53-9c1c-0a7d3f0b8f22"},
            {"kind": sdk.ProviderKind.GROQ},
            {"config": {"base_url": "https://other.example"}},
            {"credential_type": sdk.CredentialType.AMBIENT},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    def test_replaced(self, bench: Bench, changes: dict[str, Any]) -> None:
        bench.key()
        bench.change(**changes)
        bench.failure = AWAY
        with pytest.raises(sdk.KmsUnavailable):
            bench.key()
        bench.follow()
        assert len(bench.cache) == 0

    @pytest.mark.parametrize("live", [True, False])
    @pytest.mark.parametrize(
        "answer",
        [
            sdk.ProviderDisabled("no"),
            sdk.ProviderNotFound("no"),
            sdk.CredentialCorrupt("no"),
            sdk.KeyVersionUnavailable("no"),
            sdk.RegistryRolledBack("no"),
            sdk.NotAllowed("no"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_when_it_is_an_answer_that_tells(
        self, bench: Bench, answer: sdk.ProvidersError, live: bool
    ) -> None:
        bench.live = live
        bench.key()
        bench.now += 250
        bench.failure = answer
        with pytest.raises(type(answer)):
            bench.key()
        bench.failure = AWAY
        with pytest.raises(sdk.KmsUnavailable):
            bench.key()

    def test_disabled_while_it_was_being_opened(self, bench: Bench) -> None:
        bench.before_open = bench.providers.clear
        with pytest.raises(sdk.ProviderNotFound):
            bench.key()
        bench.before_open = lambda: None
        bench.change()
        assert bench.key() == "opened-2"

    def test_replaced_while_it_was_being_opened(self, bench: Bench) -> None:
        def replace() -> None:
            if bench.openings == 1:
                bench.change(credential_version=2)

        bench.before_open = replace
        bench.key()
        assert bench.key() == "opened-2"

    def test_past_every_deadline(self, bench: Bench) -> None:
        """What nobody asks for does not stay in memory."""
        bench.key()
        bench.now += 299
        bench.follow()
        assert len(bench.cache) == 1
        bench.now += 1
        bench.follow()
        assert len(bench.cache) == 0

    def test_everything(self, bench: Bench) -> None:
        bench.key()
        bench.cache.clear()
        assert len(bench.cache) == 0


class TestKept:
    def test_what_is_being_opened_when_everything_is_dropped(self, bench: Bench) -> None:
        """It may be of another history, in which the same version is of another secret."""
        bench.before_open = bench.cache.clear
        assert bench.key() == "opened-1"
        bench.before_open = lambda: None
        assert bench.key() == "opened-2"
        assert bench.key() == "opened-2"

    def test_what_binds_no_credential_changes_nothing(self, bench: Bench) -> None:
        bench.key()
        bench.change(labels={"a": "b"}, display_name="Renamed", headers={"x-team": "blue"})
        assert bench.key() == "opened-1"
        opened, _ = bench.cache.get(NAME)
        assert opened.headers == {"x-team": "blue"}

    def test_no_credential(self, bench: Bench) -> None:
        bench.change(credential_type=sdk.CredentialType.UNSPECIFIED)
        assert bench.cache.get(NAME)[1] is None
        assert bench.cache.get(NAME)[1] is None
        assert bench.openings == 1

    def test_a_failure_is_not_kept(self, bench: Bench) -> None:
        bench.failure = sdk.CredentialCorrupt("no")
        with pytest.raises(sdk.CredentialCorrupt):
            bench.key()
        bench.failure = None
        assert bench.key() == "opened-2"


class TestOneFlight:
    @pytest.mark.parametrize("failure", [None, sdk.CredentialCorrupt("no")], ids=["opens", "fails"])
    def test_of_many_that_ask_one_opens(self, bench: Bench, failure: sdk.ProvidersError | None) -> None:
        asked, go = threading.Barrier(8), threading.Event()

        def ask() -> str:
            asked.wait()
            return bench.key()

        def wait_for_all() -> None:
            assert go.wait(60)

        bench.before_open, bench.failure = wait_for_all, failure
        with ThreadPoolExecutor(8) as threads:
            answers = [threads.submit(ask) for _ in range(7)]
            asked.wait()
            go.set()
            if failure is None:
                assert {answer.result() for answer in answers} == {"opened-1"}
                assert bench.openings == 1
            else:
                for answer in answers:
                    with pytest.raises(sdk.CredentialCorrupt):
                        answer.result()

    def test_the_old_one_is_used_meanwhile(self, bench: Bench) -> None:
        """A registry that does not answer holds up one request at most."""
        bench.key()
        bench.now += 250
        started, go = threading.Event(), threading.Event()

        def wait() -> None:
            started.set()
            assert go.wait(60)

        bench.before_open = wait
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(bench.key)
            try:
                assert started.wait(60)
                assert bench.key() == "opened-1"
            finally:
                go.set()
            assert first.result() == bench.key() == "opened-2"

    def test_another_provider_does_not_wait(self, bench: Bench) -> None:
        other = "providers/q"
        bench.providers[other] = provider(other)
        started, go = threading.Event(), threading.Event()

        def wait_if_first() -> None:
            if bench.openings == 1:
                started.set()
                assert go.wait(60)

        bench.before_open = wait_if_first
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(bench.key)
            assert started.wait(60)
            assert bench.key(other) == "opened-2"
            go.set()
            assert first.result().startswith("opened-")
