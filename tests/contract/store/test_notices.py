"""What replicas tell each other through PostgreSQL, and that nothing but time is lost without it."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

import psycopg
import pytest

from runtime.logs import build_logger
from service.background import notices as notices_module
from service.background.notices import Hearing
from service.background.tasks import running
from service.domain.errors import Unavailable
from service.readmodel import live as live_module
from service.readmodel.live import LiveTable
from service.rpc.routing_codec import CODEC
from service.rpc.threads import Lane
from service.store import Notice, Notices, Store, open_store
from service.store.notices import CHANNEL
from service.telemetry import NOTICES_LOST
from service.usecases.routing_source import routing_source
from tests.support.servers.harness import wait_until
from tests.support.servers.postgresql import end_listening
from tests.support.values.registry_values import ManualClock, a_provider

HOUR = 3600.0


@pytest.fixture
def url(shared_database: str) -> str:
    """A PostgreSQL database in which others may have written before."""
    return shared_database


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with closing(open_store(url, clock=ManualClock())) as opened:
        yield opened


def notices_of(store: Store) -> Notices:
    found = store.notices()
    assert found is not None
    return found


class Replica:
    """Notices in a thread of their own, and what was heard."""

    def __init__(self, notices: Notices) -> None:
        self.notices = notices
        self.heard: list[Notice] = []
        self.is_ready = threading.Event()
        self.ended: list[Exception | None] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self.is_ready.wait(60)

    def _run(self) -> None:
        try:
            self.notices.listen(self.heard.append, ready=self.is_ready.set)
        except Unavailable as error:
            self.ended.append(error)
        else:
            self.ended.append(None)

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


@contextmanager
def listening(notices: Notices) -> Iterator[Replica]:
    made = Replica(notices)
    try:
        yield made
    finally:
        notices.close()
        made.join()


class TestNotices:
    @pytest.fixture
    def here(self, store: Store) -> Iterator[Replica]:
        with listening(notices_of(store)) as made:
            yield made

    @pytest.fixture
    def there(self, store: Store) -> Iterator[Replica]:
        with listening(notices_of(store)) as made:
            yield made

    def test_are_heard_by_all_others(self, here: Replica, there: Replica, store: Store) -> None:
        with listening(notices_of(store)) as third:
            here.notices.tell(Notice.COMMITTED)
            for other in (there, third):
                wait_until(lambda other=other: other.heard == [Notice.COMMITTED], what="it is heard")  # type: ignore[misc]
            there.notices.tell(Notice.FLUSH)
            wait_until(lambda: here.heard == [Notice.FLUSH], what="only what others tell is heard")

    def test_that_wait_become_one_of_a_kind(self, there: Replica, store: Store) -> None:
        notices = notices_of(store)
        for _ in range(1_000):
            notices.tell(Notice.COMMITTED)
        notices.tell(Notice.FLUSHED)
        with listening(notices):
            wait_until(lambda: Notice.FLUSHED in there.heard, what="the last is heard")
        assert there.heard == [Notice.COMMITTED, Notice.FLUSHED]

    def test_end_with_the_connection_and_go_on_with_the_next(
        self, here: Replica, there: Replica, store: Store, url: str
    ) -> None:
        assert end_listening(url) == 2
        for one in (here, there):
            one.join()
            assert isinstance(one.ended[0], Unavailable)
        here.notices.tell(Notice.COMMITTED)  # waits for nobody
        again = Replica(there.notices)
        with listening(here.notices):
            wait_until(lambda: again.heard == [Notice.COMMITTED], what="it is heard in the end")
        there.notices.close()
        again.join()

    def test_of_others_on_the_channel_are_not_ours(self, here: Replica, there: Replica, url: str) -> None:
        with psycopg.connect(url, autocommit=True) as sql:
            sql.execute(f"NOTIFY {CHANNEL}, 'whatever'")
        there.notices.tell(Notice.FLUSH)
        wait_until(lambda: here.heard == [Notice.FLUSH], what="ours is heard")

    def test_that_are_closed_do_not_begin(self, store: Store) -> None:
        notices = notices_of(store)
        notices.close()
        notices.listen(lambda _: None, ready=lambda: None)


class TestTables:
    """Two registries' tables that never poll: all that they learn of each other is by notices."""

    def run(
        self,
        url: str,
        monkeypatch: pytest.MonkeyPatch,
        scenario: Callable[[Store, LiveTable, io.StringIO], object],
    ) -> None:
        monkeypatch.setattr(live_module, "POLL_SECONDS", HOUR)
        monkeypatch.setattr(notices_module, "RETRY_SECONDS", 0.05)
        stream = io.StringIO()

        async def main() -> None:
            log = build_logger(stream, logging.DEBUG)
            with (
                closing(open_store(url, clock=ManualClock())) as store,
                closing(open_store(url, clock=ManualClock())) as other,
                closing(Lane("following", 1)) as lane,
                closing(Lane("here", 1)) as here,
                closing(Lane("there", 1)) as there,
                closing(notices_of(store)) as telling,
                closing(notices_of(other)) as hearing,
            ):
                store.on_commit = lambda _: telling.tell(Notice.COMMITTED)
                live = LiveTable(routing_source(other), CODEC, lane.run, log)
                ears = [
                    Hearing(one, look=look, flush=do_nothing, read=do_nothing)
                    for one, look in ((telling, do_nothing), (hearing, live.look))
                ]
                works = [live.follow(), ears[0].follow(here.run, log), ears[1].follow(there.run, log)]
                async with running(works, log):
                    await asyncio.to_thread(scenario, store, live, stream)

        asyncio.run(main())

    def test_a_commit_of_one_is_in_the_other(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def scenario(store: Store, live: LiveTable, _log: io.StringIO) -> None:
            for number in range(20):
                write(store, f"told-{number}")
                wait_until(partial(has_newest, store, live), what="the other table has it")

        self.run(url, monkeypatch, scenario)

    def test_what_was_missed_is_looked_for_after_a_lost_connection(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def scenario(store: Store, live: LiveTable, log: io.StringIO) -> None:
            for number in range(3):
                write(store, f"before-{number}")
                wait_until(partial(has_newest, store, live), what="the other listens")
                lost = log.getvalue().count(NOTICES_LOST)
                assert end_listening(url)
                wait_until(lambda lost=lost: log.getvalue().count(NOTICES_LOST) > lost, what="it is lost")  # type: ignore[misc]
                write(store, f"missed-{number}")
                wait_until(partial(has_newest, store, live), what="the other table has it")

        self.run(url, monkeypatch, scenario)


def do_nothing() -> None:
    pass


def write(store: Store, provider_id: str) -> None:
    store.write(lambda unit: unit.providers.insert(a_provider(provider_id), None))


def has_newest(store: Store, live: LiveTable) -> bool:
    return live.current.revision == store.read(lambda unit: unit.log.head()).revision
