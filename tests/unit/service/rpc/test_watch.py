"""WatchRouting, message by message: the snapshot, one change set for each revision, bookmarks, resuming."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import uuid4

import grpc
import pytest
from codevector.providers.v1 import (
    model_pb2,
    model_service_pb2,
    provider_model_pb2,
    provider_pb2,
    routing_service_pb2,
)
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from service.readmodel import live
from tests.support.servers.api import KINDS, Api, Refusal, api_key, new_name
from tests.support.servers.watching import METHOD, watching
from tests.support.values.router_table import Reason, RouterTable, token_with

SOON = Duration(seconds=1)
LATE = Duration(seconds=60)


def changes(message: routing_service_pb2.WatchRoutingResponse) -> list[str]:
    """The names a change set puts in, and with a minus those that it takes out, in order."""
    found = []
    for change in message.change_set.changes:
        which = change.WhichOneof("change")
        assert which is not None
        found.append(f"-{change.removed}" if which == "removed" else getattr(change, which).name)
    return found


def now(api: Api) -> RouterTable:
    return RouterTable.of(api.snapshot())


@dataclass(frozen=True)
class World:
    """A provider with two provider models: one model is over both, the other over the first alone."""

    api: Api
    provider: provider_pb2.Provider
    first: provider_model_pb2.ProviderModel
    second: provider_model_pb2.ProviderModel
    both: model_pb2.Model
    one: model_pb2.Model

    @classmethod
    def make(cls, api: Api) -> World:
        provider = api.create()
        first, second = (api.create_provider_model(provider.name, name) for name in ("first", "second"))
        mark = uuid4().hex[:8]
        both = api.create_model(first, second, model_id=f"{mark}-both")
        one = api.create_model(first, model_id=f"{mark}-one")
        return cls(api, provider, first, second, both, one)

    def names(self, *words: str) -> list[str]:
        """``-first`` is the name of that one, taken out."""
        return ["-" * word.startswith("-") + getattr(self, word.lstrip("-")).name for word in words]

    def model(self, method: str, **fields: Any) -> None:
        request = getattr(model_service_pb2, f"{method}Request")
        self.api.call(method, request(**fields))

    def rename(self, resource: Any, **fields: Any) -> None:
        changed = type(resource)(name=resource.name, **fields)
        self.api.update(changed, *fields)

    def batch(self, method: str, **fields: Any) -> None:
        request = getattr(pb, f"{method}Request")
        self.api.call(method, request(names=[self.first.name, self.second.name], **fields))


@pytest.fixture
def world(api: Api) -> World:
    return World.make(api)


Act = Callable[[World], object]


class TestSnapshot:
    def test_is_what_get_routing_snapshot_answers(self, api: Api, world: World) -> None:
        with watching(api.instance) as watch:
            [chunk] = watch.snapshot()
            assert (chunk.first, chunk.last, chunk.reason) == (True, True, Reason.REASON_INITIAL)
            assert watch.table.revision == world.one.revision
            assert watch.table.rows == now(api).rows
            assert watch.table.store_id == api.snapshot().store_id

    def test_is_sent_whatever_store_is_named_without_a_revision(self, api: Api) -> None:
        with watching(api.instance, store_id=str(uuid4()), strict_resume=True) as watch:
            assert watch.snapshot()[0].reason == Reason.REASON_INITIAL

    def test_is_followed_by_what_comes_after_it(self, api: Api) -> None:
        with watching(api.instance) as watch:
            watch.snapshot()
            made = api.create()
            assert watch.change_set().revision == made.revision


class TestChangeSets:
    @pytest.mark.parametrize(
        ("act", "expected"),
        [
            pytest.param(
                lambda w: w.api.disable(w.provider),
                ["-both", "-one", "-first", "-second", "-provider"],
                id="disable-provider",
            ),
            pytest.param(
                lambda w: w.api.delete(w.provider.name, force=True),
                ["-both", "-one", "-first", "-second", "-provider"],
                id="delete-provider",
            ),
            pytest.param(
                lambda w: w.rename(w.provider, display_name=new_name()), ["provider"], id="rename-provider"
            ),
            pytest.param(
                lambda w: w.rename(w.provider, labels={"a": "b"}), ["provider"], id="label-provider"
            ),
            pytest.param(
                lambda w: w.api.call(
                    "SetProviderCredential",
                    pb.SetProviderCredentialRequest(name=w.provider.name, credential=api_key()),
                ),
                ["provider"],
                id="set-credential",
            ),
            pytest.param(
                lambda w: w.api.disable(w.first), ["both", "-one", "-first"], id="disable-provider-model"
            ),
            pytest.param(
                lambda w: w.api.delete(w.first.name, force=True),
                ["both", "-one", "-first"],
                id="delete-provider-model",
            ),
            pytest.param(
                lambda w: w.rename(w.first, labels={"a": "b"}), ["first"], id="label-provider-model"
            ),
            pytest.param(
                lambda w: w.batch("BatchDisableProviderModels"),
                ["-both", "-one", "-first", "-second"],
                id="batch-disable",
            ),
            pytest.param(
                lambda w: w.batch("BatchDeleteProviderModels", force=True),
                ["-both", "-one", "-first", "-second"],
                id="batch-delete",
            ),
            pytest.param(lambda w: w.model("DisableModel", name=w.both.name), ["-both"], id="disable-model"),
            pytest.param(lambda w: w.model("DeleteModel", name=w.one.name), ["-one"], id="delete-model"),
            pytest.param(
                lambda w: w.model(
                    "AddModelBackend",
                    model=w.one.name,
                    backend=model_pb2.ModelBackend(provider_model=w.second.name),
                ),
                ["one"],
                id="add-backend",
            ),
            pytest.param(
                lambda w: w.model("RemoveModelBackend", model=w.both.name, provider_model=w.first.name),
                ["both"],
                id="remove-backend",
            ),
            pytest.param(
                lambda w: w.model("RemoveModelBackend", model=w.one.name, provider_model=w.first.name),
                ["-one"],
                id="remove-last-backend",
            ),
        ],
    )
    def test_one_for_all_that_a_revision_changes(
        self, api: Api, world: World, act: Act, expected: list[str]
    ) -> None:
        """And never an entry that refers to one that is not there, which the watch's table checks."""
        with watching(api.instance, bookmark_interval=LATE) as watch:
            watch.snapshot()
            act(world)
            message = watch.change_set()
            assert changes(message) == world.names(*expected)
            assert message.revision == world.one.revision + 1
            assert watch.table.rows == now(api).rows

    @pytest.mark.parametrize(
        ("before", "act", "expected"),
        [
            pytest.param(
                lambda w: w.api.disable(w.provider),
                lambda w: w.api.enable(w.provider),
                ["provider", "first", "second", "both", "one"],
                id="enable-provider",
            ),
            pytest.param(
                lambda w: w.api.disable(w.first),
                lambda w: w.api.enable(w.first),
                ["first", "both", "one"],
                id="enable-provider-model",
            ),
            pytest.param(
                lambda w: w.batch("BatchDisableProviderModels"),
                lambda w: w.batch("BatchEnableProviderModels"),
                ["first", "second", "both", "one"],
                id="batch-enable",
            ),
            pytest.param(
                lambda w: w.model("DisableModel", name=w.both.name),
                lambda w: w.model("EnableModel", name=w.both.name),
                ["both"],
                id="enable-model",
            ),
        ],
    )
    def test_what_comes_back_comes_back_at_once(
        self, api: Api, world: World, before: Act, act: Act, expected: list[str]
    ) -> None:
        rows = now(api).rows
        before(world)
        with watching(api.instance, bookmark_interval=LATE) as watch:
            watch.snapshot()
            act(world)
            assert changes(watch.change_set()) == world.names(*expected)
            assert watch.table.rows == rows

    def test_a_whole_import_is_one(self, api: Api) -> None:
        provider = api.create(kind=KINDS.PROVIDER_KIND_OPENAI, credential=api_key())
        with watching(api.instance, bookmark_interval=LATE) as watch:
            watch.snapshot()
            report = api.call("ImportProviderModels", pb.ImportProviderModelsRequest(parent=provider.name))
            message = watch.change_set()
            assert len(message.change_set.changes) == report.created_count > 50
            assert message.revision == provider.revision + 1
            api.delete(provider.name, force=True)
            message = watch.change_set()
            assert len(message.change_set.changes) == report.created_count + 1
            assert watch.table.rows == now(api).rows

    def test_each_in_the_order_of_the_writes(self, api: Api) -> None:
        with watching(api.instance, bookmark_interval=LATE) as watch:
            watch.snapshot()
            made = [api.create() for _ in range(10)]
            messages = [watch.change_set() for _ in made]
            assert [(one.revision, changes(one)) for one in messages] == [
                (one.revision, [one.name]) for one in made
            ]

    def test_a_provider_enters_when_it_has_its_credential(self, api: Api) -> None:
        provider = api.create(kind=KINDS.PROVIDER_KIND_OPENAI)
        model = api.create_provider_model(provider.name)
        with watching(api.instance, bookmark_interval=LATE) as watch:
            watch.snapshot()
            api.call(
                "SetProviderCredential",
                pb.SetProviderCredentialRequest(name=provider.name, credential=api_key()),
            )
            assert changes(watch.change_set()) == [provider.name, model.name]

    @pytest.mark.parametrize(
        "act",
        [
            pytest.param(lambda w: w.rename(w.provider, annotations={"a": "b"}), id="annotate"),
            pytest.param(lambda w: w.rename(w.first, display_name="Other"), id="rename-provider-model"),
            pytest.param(lambda w: w.rename(w.both, description="Other"), id="describe-model"),
            pytest.param(lambda w: w.api.create(start_disabled=True), id="create-disabled"),
            pytest.param(lambda w: w.api.create(kind=KINDS.PROVIDER_KIND_OPENAI), id="create-unroutable"),
        ],
    )
    def test_none_for_what_routers_need_not_know(self, api: Api, world: World, act: Act) -> None:
        """The next bookmark moves the revision past it."""
        with watching(api.instance, bookmark_interval=SOON) as watch:
            watch.snapshot()
            act(world)
            head = api.revision()
            assert head == world.one.revision + 1
            assert {message.WhichOneof("event") for message in watch.until(head)} == {"bookmark"}
        with watching(api.instance, watch.table) as watch:
            assert watch.bookmark().revision == head

    @pytest.mark.parametrize("refuse", ["validate_only", "etag"])
    def test_none_for_what_was_not_done(self, api: Api, world: World, refuse: str) -> None:
        with watching(api.instance, bookmark_interval=SOON) as watch:
            watch.snapshot()
            if refuse == "validate_only":
                api.delete(world.provider.name, force=True, validate_only=True)
            else:
                api.refuse("DisableProvider", pb.DisableProviderRequest(name=world.provider.name, etag="1-0"))
            assert watch.bookmark().revision == world.one.revision


class TestBookmarks:
    def test_come_at_once_when_a_resume_has_caught_up(self, api: Api, world: World) -> None:
        table = now(api)
        with watching(api.instance, table.copy(), bookmark_interval=LATE) as watch:
            assert watch.bookmark().revision == table.revision
        made = api.create()
        with watching(api.instance, table.copy(), bookmark_interval=LATE) as watch:
            assert watch.message().WhichOneof("event") == "change_set"
            bookmark = watch.bookmark()
            assert bookmark.revision == made.revision
            assert not bookmark.bookmark.draining

    def test_come_as_often_as_was_asked(self, api: Api) -> None:
        """Several for who wants one each second, and none for who wants one each minute."""
        with (
            watching(api.instance, bookmark_interval=SOON) as often,
            watching(api.instance, bookmark_interval=LATE) as seldom,
        ):
            often.snapshot()
            seldom.snapshot()
            times = [often.bookmark().bookmark.server_time.ToNanoseconds() for _ in range(4)]
            assert all(after - before > 0.25e9 for before, after in pairwise(times))
            api.create()
            assert seldom.message().WhichOneof("event") == "change_set"
            assert often.change_set().revision == seldom.table.revision

    def test_are_a_place_to_resume_from(self, api: Api) -> None:
        with watching(api.instance, bookmark_interval=SOON) as watch:
            watch.snapshot()
            api.create(start_disabled=True)
            watch.until(api.revision())
        made = api.create()
        with watching(api.instance, watch.table, strict_resume=True) as watch:
            [message, bookmark] = watch.message(), watch.bookmark()
            assert changes(message) == [made.name]
            assert bookmark.revision == made.revision


class TestResuming:
    def test_from_each_revision_of_a_history_gives_the_rest_byte_by_byte(
        self, api: Api, world: World
    ) -> None:
        with watching(api.instance, bookmark_interval=LATE) as watch:
            watch.snapshot()
            tables = [watch.table.copy()]
            api.create()
            api.disable(world.first)
            api.create(start_disabled=True)
            api.disable(world.provider)
            api.enable(world.first)
            world.rename(world.provider, annotations={"a": "b"})
            api.enable(world.provider)
            api.delete(world.provider.name, force=True)
            head, begin = api.revision(), tables[0].revision
            while watch.table.revision < head:
                watch.message()
                tables.append(watch.table.copy())
            octets = watch.octets[1:]
        for revision in range(begin, head + 1):
            table = [one for one in tables if one.revision <= revision][-1].copy()
            table.revision = revision
            rest = [one for one, after in zip(octets, tables[1:], strict=True) if after.revision > revision]
            with watching(api.instance, table, strict_resume=True) as again:
                for _ in rest:
                    again.message()
                assert again.octets == rest
                assert again.bookmark().revision == head
            assert table.rows == tables[-1].rows

    @pytest.mark.parametrize(
        ("parts", "reason", "error"),
        [
            ({"store_id": uuid4()}, Reason.REASON_STORE_CHANGED, "STORE_CHANGED"),
            ({"content_id": uuid4()}, Reason.REASON_STORE_CHANGED, "STORE_CHANGED"),
            ({"revision": 2**62}, Reason.REASON_REVISION_AHEAD, "REVISION_AHEAD"),
        ],
        ids=["other-store", "other-history", "future-revision"],
    )
    def test_what_cannot_be_resumed(
        self,
        api: Api,
        world: World,
        monkeypatch: pytest.MonkeyPatch,
        parts: Any,
        reason: Reason,
        error: str,
    ) -> None:
        """Begins anew in the stream and says why, or ends where only a resume will do."""
        expected = now(api)
        token = token_with(expected.token, **parts)
        monkeypatch.setattr(live, "REACH_SECONDS", 0.05)
        with watching(api.instance, resume_token=token) as watch:
            assert watch.snapshot()[0].reason == reason
            assert watch.table.rows == expected.rows
            made = api.create()
            assert watch.change_set().revision == made.revision
        with watching(api.instance, strict_resume=True, resume_token=token) as watch:
            refusal = watch.end()
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.OUT_OF_RANGE, error)
        assert refusal.metadata["current_revision"] == str(made.revision)
        assert int(refusal.metadata["compact_revision"]) <= made.revision

    def test_a_number_alone_is_not_resumed_from(self, api: Api, world: World) -> None:
        """It may be of another history: nothing shows that it is not."""
        expected = now(api)
        request: dict[str, Any] = {
            "resume_token": "",
            "resume_revision": expected.revision,
            "store_id": expected.store_id,
        }
        with watching(api.instance, **request) as watch:
            assert watch.snapshot()[0].reason == Reason.REASON_INITIAL
        with watching(api.instance, strict_resume=True, **request) as watch:
            refusal = watch.end()
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_REQUIRED")

    def test_a_write_returns_the_token_of_what_it_wrote(self, api: Api, world: World) -> None:
        with watching(api.instance) as watch:
            watch.snapshot()
            made = api.create()
            message = watch.change_set()
        assert api.trailers["x-revision"] == str(made.revision) == str(message.revision)
        assert api.trailers["x-revision-token"] == message.token


class TestBadRequests:
    @pytest.mark.parametrize(
        ("request_fields", "field", "rule"),
        [
            ({"resume_revision": -1}, "resume_revision", "int64.gte"),
            ({"resume_revision": -(2**63), "store_id": "x"}, "resume_revision", "int64.gte"),
            ({"resume_revision": 1, "store_id": ""}, "store_id", "watch_routing.store_id"),
            ({"store_id": "x" * 65}, "store_id", "string.max_len"),
            ({"resume_token": "x" * 129}, "resume_token", "string.max_len"),
            ({"resume_token": "not a token"}, "resume_token", "resume_token.valid"),
            ({"bookmark_interval": Duration()}, "bookmark_interval", "duration.gte_lte"),
            ({"bookmark_interval": Duration(nanos=999_999_999)}, "bookmark_interval", "duration.gte_lte"),
            ({"bookmark_interval": Duration(seconds=-15)}, "bookmark_interval", "duration.gte_lte"),
            ({"bookmark_interval": Duration(seconds=60, nanos=1)}, "bookmark_interval", "duration.gte_lte"),
            ({"bookmark_interval": Duration(seconds=3600)}, "bookmark_interval", "duration.gte_lte"),
            ({"watcher_id": "x" * 129}, "watcher_id", "string.max_len"),
            ({"watcher_id": "two words"}, "watcher_id", "string.one_line"),
            ({"watcher_id": "naïve"}, "watcher_id", "string.ascii"),
            ({"watcher_id": "nul\0"}, "watcher_id", "string.ascii"),
        ],
    )
    def test_are_refused_with_their_field(
        self, api: Api, request_fields: dict[str, Any], field: str, rule: str
    ) -> None:
        refusal = self.refused(api, **request_fields)
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert (refusal.fields, refusal.rules) == ((field,), (rule,))

    @pytest.mark.parametrize("interval", [Duration(seconds=1), Duration(seconds=60)])
    def test_the_limits_themselves_are_taken(self, api: Api, interval: Duration) -> None:
        with watching(api.instance, bookmark_interval=interval) as watch:
            assert watch.snapshot()

    @pytest.mark.parametrize("octets", [b"\x08", b"\x12\x02\xff\xfe"], ids=["cut-off", "not-utf-8"])
    def test_bytes_that_are_no_request(self, api: Api, octets: bytes) -> None:
        assert api.instance.channel is not None
        call: Any = api.instance.channel.unary_stream(METHOD)
        with pytest.raises(grpc.RpcError) as caught:
            next(call(octets, timeout=60))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    @staticmethod
    def refused(api: Api, **fields: Any) -> Refusal:
        with watching(api.instance, **fields) as watch:
            return watch.end()


class TestListAndWatch:
    @pytest.mark.parametrize("text", ["", "kind = chat", "labels.mark = {mark}", "provider = {provider}"])
    def test_converge_although_writes_come_between_pages(self, api: Api, text: str) -> None:
        """Pages of a moving table, then a watch behind the first page's revision, give the table of now."""
        worlds = [World.make(api) for _ in range(3)]
        mark = uuid4().hex[:8]
        for world in worlds:
            world.rename(world.first, labels={"mark": mark})
        query = text.format(mark=mark, provider=worlds[0].provider.name)
        request = routing_service_pb2.ListActiveProviderModelsRequest(filter=query)
        acts: Iterator[Callable[[], object]] = iter(
            [
                lambda: api.disable(worlds[0].first),
                lambda: api.delete(worlds[1].provider.name, force=True),
                lambda: api.enable(worlds[0].first),
                lambda: worlds[2].rename(worlds[2].second, labels={"mark": mark}),
                lambda: World.make(api),
            ]
        )
        rows: dict[str, routing_service_pb2.ActiveProviderModel] = {}
        tokens: set[tuple[int, str]] = set()
        for page in api.pages("ListActiveProviderModels", request, size=2):
            rows |= {row.name: row for row in page.active_provider_models}
            tokens.add((page.revision, page.token))
            next(acts, lambda: None)()
        [(revision, token)] = tokens
        for act in acts:
            act()
        head = api.revision()
        assert head > revision
        for message in self.messages_after(api, token, head):
            for change in message.change_set.changes:
                if change.WhichOneof("change") == "provider_model":
                    rows[change.provider_model.name] = change.provider_model
                else:
                    rows.pop(change.removed, None)
        there, wanted = self.listed(api, ""), self.listed(api, query)
        assert wanted.keys() <= rows.keys(), "whatever the filter takes was listed, or told since"
        assert rows == {name: there.get(name) for name in rows}, "whatever is held is as it is now"

    @staticmethod
    def listed(api: Api, text: str) -> dict[str, routing_service_pb2.ActiveProviderModel]:
        request = routing_service_pb2.ListActiveProviderModelsRequest(filter=text)
        return {
            row.name: row
            for page in api.pages("ListActiveProviderModels", request, size=1000)
            for row in page.active_provider_models
        }

    @staticmethod
    def messages_after(api: Api, token: str, head: int) -> list[routing_service_pb2.WatchRoutingResponse]:
        request = routing_service_pb2.WatchRoutingRequest(resume_token=token, strict_resume=True)
        call: Any = api.instance.routing.WatchRouting(request, timeout=60)
        messages = []
        for message in call:
            messages.append(message)
            if message.WhichOneof("event") == "bookmark":
                assert message.revision == head
                break
        call.cancel()
        return messages

    @pytest.mark.parametrize("text", ["kind = ", "color = red", "kind = dog", "(", 'provider = "'])
    def test_a_filter_that_does_not_parse(self, api: Api, text: str) -> None:
        refusal = api.refuse(
            "ListActiveProviderModels", routing_service_pb2.ListActiveProviderModelsRequest(filter=text)
        )
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FILTER")
