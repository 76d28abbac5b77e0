"""The limit of a watch: a grpcio asyncio server with uvloop that writes the same bytes to every stream.

Started as ``python -m benchmarks.bare_broadcast PORT``. Each call of Watch is answered with its request, then
with whatever is given to Publish, which answers when it began (nanoseconds since 1970, as text).
"""

from __future__ import annotations

import asyncio
import sys
import time

import grpc
import uvloop

from service.rpc.options import OPTIONS, freeze_startup_objects

Context = grpc.aio.ServicerContext[bytes, bytes]


class Event:
    """One message for all, and the way to the next."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content
        self.next: Event | None = None
        self.passed = asyncio.Event()


class Broadcast:
    """The two handlers. Nothing is kept for a stream but its coroutine and where it is."""

    def __init__(self) -> None:
        self._newest = Event()

    async def watch(self, request: bytes, context: Context) -> None:
        current = self._newest
        await context.write(request)
        while True:
            while current.next is None:
                await current.passed.wait()
            current = current.next
            await context.write(current.content)

    async def publish(self, request: bytes, _: Context) -> bytes:
        began = time.time_ns()
        passed, self._newest = self._newest, Event(request)
        passed.next = self._newest
        passed.passed.set()
        return str(began).encode()


async def _serve(port: str) -> None:
    server = grpc.aio.server(options=OPTIONS)
    broadcast = Broadcast()
    methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Watch": grpc.unary_stream_rpc_method_handler(broadcast.watch),
        "Publish": grpc.unary_unary_rpc_method_handler(broadcast.publish),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Broadcast", methods),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    freeze_startup_objects()
    print("broadcast serving", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
