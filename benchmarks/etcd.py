"""etcd, one node: Debian's program unpacked into .tools/etcd, spoken to in bytes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import Server, program
from tests.support.servers.ports import free_port
from tools.steps import TOOLS, one_at_a_time, run, say

HOME = TOOLS / "etcd"
PROGRAM = HOME / "usr" / "bin" / "etcd"
WATCH = "etcdserverpb.Watch/Watch"
PUT = "etcdserverpb.KV/Put"
KEY = b"routing"


def install() -> None:
    """Without root: the package is downloaded and unpacked, not installed.

    Raises:
        StepFailed: this is not Debian, or its archive does not give the package.
    """
    if PROGRAM.exists():
        return
    with one_at_a_time(), tempfile.TemporaryDirectory() as scratch:
        say("unpacking Debian's etcd-server into .tools/etcd")
        fix = "apt-get cannot download etcd-server"
        run(["sh", "-c", f"cd {scratch} && apt-get -qq download etcd-server"], fix=fix)
        [package] = Path(scratch).glob("*.deb")
        run(["dpkg", "-x", package, Path(scratch) / "unpacked"], fix=fix)
        shutil.rmtree(HOME, ignore_errors=True)
        shutil.move(Path(scratch) / "unpacked", HOME)


def version() -> str:
    """As it says itself."""
    return run([PROGRAM, "--version"], fix="etcd does not start").split()[2]


@contextmanager
def serving_etcd() -> Iterator[Server]:
    """One node on loopback, with its data on disk and its defaults."""
    client, peer = f"127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="bench-") as data:
        command = [str(PROGRAM), "--data-dir", data, "--log-level", "error",
                   "--listen-client-urls", f"http://{client}", "--advertise-client-urls", f"http://{client}",
                   "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                   "--initial-cluster", f"default={peer}"]  # fmt: skip
        with program(command, "", client) as server:
            yield server


def watch_request() -> bytes:
    """WatchRequest{create_request: {key}}."""
    return _field(1, _field(1, KEY))


def put_request(value: bytes) -> bytes:
    """PutRequest{key, value}."""
    return _field(1, KEY) + _field(2, value)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field. Source: Protocol Buffers encoding, base 128 varints."""
    length, size = bytearray(), len(content)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes([number << 3 | 2]) + bytes(length) + content
