"""Every way in which a small history can go: writes, a fork, polls and a router, one step after the other.

Two replicas follow one log, which forks at most once, and one router watches them in turn. The states are
searched breadth first, each once, so that a broken law comes with one of the shortest ways to it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

from service.readmodel import live as live_module
from service.readmodel.ring import Ring
from tests.support.histories.world import REPLICAS, Bounds, LawBroken, World, beginning, fingerprint_of


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to."""

    states: int
    steps: int
    longest: int


Step = tuple[str, Callable[[World], Any]]


def _steps(bounds: Bounds) -> tuple[list[Step], list[Step]]:
    """Return what goes on by itself, in the order in which it comes to rest, and what need not happen."""
    calm: list[Step] = [(f"poll {one}", partial(World.poll, replica=one)) for one in REPLICAS]
    free: list[Step] = [(f"fork {one}", partial(World.fork, back_to=one)) for one in range(bounds.revisions)]
    free += [("write", partial(World.write, is_told=False, quiet=False))]
    if bounds.quiet:
        free += [("quiet write", partial(World.write, is_told=False, quiet=True))]
        if bounds.tells:
            free += [("quiet write here", partial(World.write, is_told=True, quiet=True))]
    if bounds.tells:
        tells: list[Step] = [(f"tell {one}", partial(World.tell, index=one)) for one in range(2)]
        calm = [*tells, *calm]
        free += [("write here", partial(World.write, is_told=True, quiet=False))]
    if bounds.router:
        calm += [("receive", World.receive)]
        free += [(f"connect {one}", partial(World.connect, replica=one)) for one in REPLICAS]
        free += [("open", World.open)]
    else:
        calm = [step for step in calm if step[0] != "poll 1"]
    if bounds.compacts:
        free += [("compact", World.compact)]
    return calm, free


async def explore(bounds: Bounds) -> Found:
    """Visit every state within ``bounds``.

    Raises:
        LawBroken: a law does not hold; says which, and the steps to there.
    """
    with (
        patch.object(live_module, "REACH_SECONDS", 0.0),
        patch.object(live_module, "Ring", partial(Ring, max_messages=bounds.ring)),
    ):
        return await _search(bounds)


async def _search(bounds: Bounds) -> Found:
    calm_steps, free_steps = _steps(bounds)
    first = beginning(bounds)
    ways: dict[int, tuple[int, str]] = {first.fingerprint(): (0, "")}
    waiting = deque([(first, 0)])
    placed: set[int] = set()
    calm: dict[int, int] = {}
    taken = longest = 0
    while waiting:
        world, depth = waiting.popleft()
        here, longest = world.fingerprint(), depth
        step = ""
        try:
            world.check()
            for replica in REPLICAS:
                key = hash((world.log_fingerprint(), fingerprint_of(world.lives[replica])))
                if key not in placed:
                    placed.add(key)
                    await world.check_places(replica)
            settled = world.stream is not None or not bounds.router
            for step, take in (*calm_steps, *free_steps):
                after = take(world)
                if asyncio.iscoroutine(after):
                    after = await after
                if after is None:
                    continue
                taken += 1
                there = after.fingerprint()
                if there == here:
                    continue
                if (step, take) in calm_steps:
                    settled = False
                    calm.setdefault(here, there)
                if there not in ways:
                    ways[there] = (here, step)
                    waiting.append((after, depth + 1))
            step = ""
            if settled:
                world.check_settled()
        except LawBroken as broken:
            way = [*_way(ways, here), *([step] if step else [])]
            raise LawBroken(f"{broken}, after: {', '.join(way)}") from None
    _check_calm(calm, ways)
    return Found(len(ways), taken, longest)


def _check_calm(calm: dict[int, int], ways: dict[int, tuple[int, str]]) -> None:
    """Left alone, every state comes to rest."""
    rests: set[int] = set()
    for start in calm:
        trail: list[int] = []
        seen: set[int] = set()
        at = start
        while at in calm and at not in rests:
            if at in seen:
                raise LawBroken(f"no end, after: {', '.join(_way(ways, at))}")
            seen.add(at)
            trail.append(at)
            at = calm[at]
        rests.update(trail)


def _way(ways: dict[int, tuple[int, str]], at: int) -> list[str]:
    steps = []
    while ways[at][1]:
        at, step = ways[at]
        steps.append(step)
    return steps[::-1]
