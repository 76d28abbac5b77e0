"""The limit: a grpcio asyncio server with uvloop that answers constant bytes and looks at nothing.

Started as ``python -m benchmarks.bare_server PORT METHOD=FILE…``: each method answers its file's bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import uvloop

from service.rpc.options import OPTIONS, freeze_startup_objects


def _constant(answer: bytes) -> Callable[[bytes, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[bytes]]:
    async def handle(_: bytes, __: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return answer

    return handle


async def _serve(port: str, answers: list[str]) -> None:
    server = grpc.aio.server(options=OPTIONS)
    for pair in answers:
        method, file = pair.split("=", 1)
        service, name = method.rsplit("/", 1)
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
            _constant(Path(file).read_bytes())
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    freeze_startup_objects()
    print("bare serving", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], sys.argv[2:]))
