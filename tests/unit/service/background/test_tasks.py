"""Background work: a step that fails is logged and tried again, and tasks end with their context."""

from __future__ import annotations

import asyncio
import io
import json
import logging

import pytest

from runtime.logs import build_logger
from service.background.tasks import Nudge, attempt, repeat, running, whenever
from service.domain.errors import Reason, RegistryError, Unavailable

CANARY = "cAnArY-5e1f"
AWAY = Unavailable("the database is not available: retry", reason=Reason.STORE_UNAVAILABLE)


class TestSteps:
    @pytest.mark.parametrize(
        ("failure", "line"),
        [
            pytest.param(AWAY, {"level": "warning", "reason": "STORE_UNAVAILABLE"}, id="refusal"),
            pytest.param(ValueError(CANARY), {"level": "error"}, id="bug"),
        ],
    )
    def test_that_fail_are_logged_and_tried_again(
        self, failure: RegistryError | ValueError, line: dict[str, str]
    ) -> None:
        stream, tried = io.StringIO(), 0

        async def main() -> None:
            done = asyncio.Event()

            async def step() -> None:
                nonlocal tried
                tried += 1
                if tried == 2:
                    done.set()
                raise failure

            log = build_logger(stream, logging.INFO)
            async with running([repeat(step, 0, log, "step_failed")], log), asyncio.timeout(60):
                await done.wait()

        asyncio.run(main())
        first = json.loads(stream.getvalue().splitlines()[0])
        assert (first["event"], line.items() <= first.items()) == ("step_failed", True)
        assert CANARY not in stream.getvalue()

    def test_that_are_due_are_attempted(self) -> None:
        stream, tried = io.StringIO(), 0

        async def main() -> None:
            due, done = Nudge(), asyncio.Event()

            async def step() -> None:
                nonlocal tried
                tried += 1
                done.set()
                raise AWAY

            log = build_logger(stream, logging.INFO)
            async with running([whenever(due, step, log, "step_failed")], log), asyncio.timeout(60):
                for _ in range(2):
                    due()
                    await done.wait()
                    done.clear()

        asyncio.run(main())
        assert tried == 2
        assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["step_failed"] * 2

    def test_that_succeed_say_nothing(self) -> None:
        stream = io.StringIO()

        async def step() -> None:
            pass

        asyncio.run(attempt(step, build_logger(stream, logging.INFO), "step_failed"))
        assert not stream.getvalue()


class TestTasks:
    def test_end_with_their_context_the_last_one_first(self) -> None:
        ended: list[int] = []

        async def main() -> None:
            started = [asyncio.Event() for _ in range(3)]

            async def work(number: int) -> None:
                started[number].set()
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append(number)

            async with running([work(number) for number in range(3)], build_logger(io.StringIO(), 0)):
                for one in started:
                    await one.wait()

        asyncio.run(main())
        assert ended == [2, 1, 0]

    def test_that_end_by_a_failure_say_so(self) -> None:
        stream = io.StringIO()

        async def main() -> None:
            async def work() -> None:
                raise ValueError(CANARY)

            async with running([work()], build_logger(stream, logging.INFO)):
                await asyncio.sleep(0)

        asyncio.run(main())
        assert json.loads(stream.getvalue())["event"] == "background_task_ended"
        assert CANARY not in stream.getvalue()


def test_a_nudge_wakes_from_any_thread_and_outlives_its_loop() -> None:
    async def main() -> Nudge:
        nudge = Nudge()
        await asyncio.to_thread(nudge)
        async with asyncio.timeout(60):
            await nudge.wait()
        return nudge

    asyncio.run(main())()
