"""What a page shows is what happens: its marked console blocks, run in order on a fresh installation."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.servers.harness import PATIENCE_SECONDS, ROOT
from tests.support.servers.launched import Launched
from tests.support.servers.ports import free_port
from tests.support.toolchains import skip_without
from tests.support.values.examples import comparable, examples, outputs


@pytest.mark.parametrize(
    ("pages", "fewest"),
    [
        (["README.md"], 8),
        (["docs/watching.md", "docs/runbooks/revoke-provider.md"], 20),
    ],
    ids=["readme", "routers"],
)
def test_every_marked_example(pages: list[str], fewest: int) -> None:
    """Pages of one case are read one after the other, on the same installation."""
    skip_without("go")
    shown = [example for page in pages for example in examples((ROOT / page).read_text())]
    assert len(shown) >= fewest
    home = Path(tempfile.mkdtemp(prefix="cv-"))
    upstream = free_port()
    run = Launched(home, port=free_port(), environment={"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1"})
    environment = {
        **os.environ,
        "PATH": f"{ROOT}/.tools/bin:{os.environ['PATH']}",
        "CODEVECTOR_HOME": str(home),
        "CODEVECTOR_GRPC_PORT": str(run.port),
    }
    places = {"127.0.0.1:50051": run.address, "8099": str(upstream), "var/": f"{home}/"}
    try:
        run.wait_ready()
        commands = [_placed(example.command, places) for example in shown]
        told = outputs(commands, cwd=ROOT, env=environment, seconds=PATIENCE_SECONDS)
        for example, output in zip(shown, told, strict=True):
            assert comparable(output) == comparable(_placed(example.output, places)), example.command
    finally:
        run.end()
        shutil.rmtree(home)


def _placed(text: str, places: Mapping[str, str]) -> str:
    """Return the text with the addresses and folders of this run."""
    for here, there in places.items():
        text = text.replace(here, there)
    return text
