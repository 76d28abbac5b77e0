"""The start-up text of `make run`, which other programs wait for."""

from __future__ import annotations

import json
import re

from tools.launcher import welcome
from tools.launcher.plan import plan_of

TEXT = welcome.text(plan_of({"CODEVECTOR_GRPC_PORT": "50999", "CODEVECTOR_CONSOLE_PORT": "8999"}))


def test_the_last_line_alone_says_ready() -> None:
    *others, last = TEXT.splitlines()
    assert last == "ready: grpc=127.0.0.1:50999 console=http://127.0.0.1:8999/admin/providers"
    assert others[-1] == "Open http://127.0.0.1:8999/admin/providers in a browser to administer it."
    assert not [line for line in others if "ready:" in line]


def test_says_who_is_an_administrator_and_where_no_boundary_is() -> None:
    assert "any user of this machine is an administrator" in TEXT
    assert "not a boundary" in TEXT


def test_the_key_is_given_by_stdin() -> None:
    assert "api_key" not in "".join(line for line in TEXT.splitlines() if "grpcurl" in line)


def test_the_requests_to_paste_are_json() -> None:
    requests = [*re.findall(r"-d '(.*?)' 127", TEXT), re.findall(r"<<EOF\n(.*?)\nEOF", TEXT, re.DOTALL)[0]]
    assert len(requests) == 5
    for request in requests:
        json.loads(request)
