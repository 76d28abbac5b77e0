"""The command line of ``python -m kms``: parsed, not acted upon."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kms.audit.lines import Position

_HEAD = re.compile(r"[0-9a-f]{64}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command and its options; exit with code 2 for bad usage, as argparse does."""
    parser = argparse.ArgumentParser(prog="python -m kms", description="The CodeVector key sidecar.")
    parser.add_argument("--check-config", action="store_true", help="print the effective settings and exit")
    parser.add_argument(
        "--health", action="store_true", help="exit 0 if a running sidecar serves on all its sockets, else 1"
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("serve", help="serve until SIGTERM or SIGINT; the default")
    commands.add_parser("init", help="make what is missing: keys, deployment id, audit key")
    audit = commands.add_parser(
        "audit", help="read an audit from its files, or begin a new one"
    ).add_subparsers(dest="audit_command", metavar="COMMAND", required=True)
    _add_verify(audit.add_parser("verify", help="find the first line that was changed"))
    _add_exposure(audit.add_parser("exposure", help="list the credentials that a principal could have seen"))
    audit.add_parser("begin", help="set aside an audit that cannot be continued; the next start begins anew")
    options = parser.parse_args(arguments)
    if options.command == "audit" and options.audit_command == "verify":
        options.expected = _expected(parser, options)
    return options


def _add_verify(verify: argparse.ArgumentParser) -> None:
    _add_files(verify)
    verify.add_argument(
        "--public-key",
        type=Path,
        metavar="FILE",
        help="a copy of audit.pub; default: the data directory's",
    )
    verify.add_argument("--expect-seq", type=int, metavar="N", help="a line that the registry recorded")
    verify.add_argument("--expect-head", metavar="HEX", help="its hash, 64 hex digits")


def _add_exposure(exposure: argparse.ArgumentParser) -> None:
    _add_files(exposure)
    exposure.add_argument("--since", type=_time, required=True, metavar="TIME", help="2026-11-23T12:00:00Z")
    exposure.add_argument("--principal", default="", help="router:/run/kms/router.sock, or the role alone")


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, nargs="?", help="a file or directory; default: the audit in the data directory"
    )
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")


def _time(text: str) -> datetime:
    from kms.audit.lines import read_time  # not above: a health check parses arguments too

    try:
        return read_time(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a time in UTC, e.g. 2026-11-23T12:00:00Z") from None


def _expected(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Position | None:
    if options.expect_seq is None and options.expect_head is None:
        return None
    from kms.audit.lines import Position

    if (options.expect_seq or 0) < 1 or not _HEAD.fullmatch(options.expect_head or ""):
        parser.error("--expect-seq N and --expect-head with 64 hex digits come together")
    return Position(options.expect_seq, bytes.fromhex(options.expect_head))
