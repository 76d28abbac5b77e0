"""What the commands of ``providerctl router`` print, how long they wait, and with which exit code."""

from __future__ import annotations

import pytest

from tests.support.doubles.cli_doubles import AWAY, Bench

REVISION = 7


class TestList:
    def test_plain(self, bench: Bench) -> None:
        bench.made.add_router("gateway-1", REVISION)
        bench.made.routers["gateway-1"].session_id = "5f3a9c2e"
        bench.made.add_router("gateway-2", REVISION - 3, watching=False)
        bench.made.add_router("gateway-3", 0)
        told = bench.run("router", "list")
        assert told.code == 0
        assert told.out.splitlines() == [
            "ROUTER\tSESSION\tAPPLIED\tLAG\tWATCHING\tLAST SEEN\tCOUNTS UNTIL\tPEER",
            "gateway-1\t5f3a9c2e\t7\t\tyes\t2026-04-15 08:00:00Z\t\tipv4:127.0.0.1:40512",
            "gateway-2\t\t4\t3\tno\t2026-04-15 08:00:00Z\t2026-04-15 08:10:00Z\tipv4:127.0.0.1:40512",
            "gateway-3\t\tnone\t7\tyes\t2026-04-15 08:00:00Z\t\tipv4:127.0.0.1:40512",
        ]
        assert told.err == "1 of 3 routers have revision 7\n"

    def test_json_is_the_answer_of_the_api_with_all_pages(self, bench: Bench) -> None:
        for number in range(100):
            bench.made.add_router(f"gateway-{number:03}", REVISION)
        told = bench.run("router", "list", "-o", "json", "-q")
        assert told.err == ""
        assert [each["watcherId"] for each in told.data["routers"]] == sorted(bench.made.routers)
        assert told.data["routers"][0]["appliedRevision"] == str(REVISION)
        assert (told.data["revision"], told.data["minAppliedRevision"]) == ("7", "7")
        assert told.data["nextPageToken"] == ""

    def test_filtered(self, bench: Bench) -> None:
        bench.made.add_router("gateway-1", REVISION)
        bench.made.add_router("batch-1", 1)
        told = bench.run("router", "list", "--filter", "gateway")
        assert "batch-1" not in told.out
        assert told.err == "1 of 1 router has revision 7\n"

    def test_a_replica_that_does_not_answer_is_named(self, bench: Bench) -> None:
        bench.made.add_router("gateway-1", REVISION)
        bench.made.silent_replicas = ["registry-2"]
        told = bench.run("router", "list")
        assert told.err == "1 of 1 router has revision 7; no answer yet from replica registry-2\n"

    def test_an_empty_list(self, bench: Bench) -> None:
        told = bench.run("router", "list", "-o", "json")
        assert (told.code, told.data["routers"]) == (0, [])
        assert told.err == "no routers are connected\n"


class TestWait:
    def test_what_all_have_is_not_waited_for(self, bench: Bench) -> None:
        bench.made.add_router("gateway-1", REVISION)
        bench.made.add_router("gateway-2", REVISION)
        told = bench.run("router", "wait")
        assert (told.code, told.out) == (0, "revision: 7\nrouters: 2\nhave it: 2\n")
        assert told.err == "2 of 2 routers have revision 7\n"
        assert bench.made.calls == ["AwaitAppliedRevision"]

    def test_tells_who_is_missing_and_ends_when_all_have_it(self, bench: Bench) -> None:
        bench.made.add_router("gateway-1", REVISION)
        bench.made.add_router("gateway-2", 3)
        bench.made.add_router("gateway-3", 0, watching=False)
        bench.made.clock.elapsed = 190.0

        def reports(number: int, _: str) -> None:
            if number == 3:
                bench.made.add_router("gateway-2", REVISION)
            if number == 5:
                bench.made.add_router("gateway-3", REVISION)

        bench.made.before = reports
        told = bench.run("router", "wait", "--revision", "6", "-o", "json")
        assert told.code == 0
        assert (told.data["reached"], told.data["appliedCount"], told.data["lagging"]) == (True, 3, [])
        assert told.err.splitlines() == [
            "1 of 3 routers have revision 6; waiting for gateway-2 (watching, has 3), "
            "gateway-3 (not watching, last seen 3 min ago)",
            "2 of 3 routers have revision 6; waiting for gateway-3 (not watching, last seen 3 min ago)",
            "3 of 3 routers have revision 6",
        ]

    def test_waits_for_the_revision_of_its_first_look(self, bench: Bench) -> None:
        """Others go on writing meanwhile, and are not waited for."""
        bench.made.add_router("gateway-1", 0)

        def writes(number: int, _: str) -> None:
            bench.made.revision += 1
            if number == 3:
                bench.made.add_router("gateway-1", REVISION + 1)

        bench.made.before = writes
        told = bench.run("router", "wait", "-o", "json")
        assert (told.code, told.data["revision"]) == (0, str(REVISION + 1))

    def test_not_in_time(self, bench: Bench) -> None:
        for number in range(42):
            bench.made.add_router(f"gateway-{number:02}", REVISION if number > 4 else 1)
        told = bench.run("router", "wait", "--timeout", "12s", "-o", "json")
        assert told.code == 1
        assert told.data["reached"] is False
        assert [each["watcherId"] for each in told.data["lagging"]] == [f"gateway-{n:02}" for n in range(5)]
        waiting, end = told.err.splitlines()
        assert waiting.endswith(", gateway-02 (watching, has 1), 2 more")
        assert end == "providerctl: timed out after 12s: 37 of 42 routers have revision 7"
        assert bench.made.clock.elapsed == pytest.approx(12)

    def test_the_table_lists_who_is_behind(self, bench: Bench) -> None:
        bench.made.add_router("gateway-1", REVISION)
        bench.made.add_router("gateway-2", REVISION - 1)
        told = bench.run("router", "wait", "--timeout", "0s", "-q")
        assert told.code == 1
        assert "have it: 1\n" in told.out
        assert "gateway-2\t\t6\t1\tyes" in told.out
        assert "gateway-1" not in told.out
        assert told.err == "providerctl: timed out after 0s: 1 of 2 routers have revision 7\n"
        assert bench.made.calls == ["AwaitAppliedRevision"]

    def test_a_replica_that_does_not_answer_is_waited_for_and_named(self, bench: Bench) -> None:
        bench.made.add_router("gateway-1", REVISION)
        bench.made.silent_replicas = ["registry-2", "registry-3"]

        def answers(number: int, _: str) -> None:
            if number == 3:
                bench.made.silent_replicas = []

        bench.made.before = answers
        told = bench.run("router", "wait")
        assert told.code == 0
        assert told.err.splitlines() == [
            "1 of 1 router has revision 7; no answer yet from replicas registry-2, registry-3",
            "1 of 1 router has revision 7",
        ]

    def test_without_routers_there_is_nothing_to_wait_for(self, bench: Bench) -> None:
        told = bench.run("router", "wait")
        assert told.code == 0
        assert told.err == "no routers are connected\n"

    def test_a_revision_that_was_never_reached(self, bench: Bench) -> None:
        told = bench.run("router", "wait", "--revision", "8")
        assert told.code == 2
        assert "reason: REVISION_AHEAD" in told.err

    def test_a_registry_that_starts_again_is_asked_again(self, bench: Bench) -> None:
        bench.made.add_router("gateway-1", 1)

        def away(number: int, _: str) -> None:
            if number in (2, 3, 4):
                raise AWAY
            if number == 6:
                bench.made.add_router("gateway-1", REVISION)

        bench.made.before = away
        told = bench.run("router", "wait")
        assert (told.code, len(bench.made.calls)) == (0, 6)
        assert bench.made.clock.elapsed < 60

    def test_a_registry_that_stays_away_is_unavailable_when_the_time_is_up(self, bench: Bench) -> None:
        bench.made.add_router("gateway-1", 1)

        def away(number: int, _: str) -> None:
            if number > 1:
                raise AWAY

        bench.made.before = away
        assert bench.run("router", "wait", "--timeout", "30s").code == 6
        assert 30 <= bench.made.clock.elapsed < 36

    def test_a_registry_that_is_not_there_is_unavailable_at_once(self, bench: Bench) -> None:
        assert bench.run("router", "wait", "--server", "127.0.0.1:1").code == 6
        assert bench.made.clock.elapsed == 0
