"""The command line of `python -m kms`: taken apart, not acted upon."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from kms.audit.lines import Position, read_time

_HEAD = re.compile(r"[0-9a-f]{64}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command and its options; exits with code 2 for bad usage, as argparse does."""
    parser = argparse.ArgumentParser(prog="python -m kms", description="The CodeVector key sidecar.")
    parser.add_argument("--check-config", action="store_true", help="print the effective settings and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("serve", help="serve until SIGTERM or SIGINT; the default")
    commands.add_parser("init", help="make what is missing: keys, deployment id, audit key")
    audit = commands.add_parser("audit", help="read an audit from its files").add_subparsers(
        dest="audit_command", metavar="COMMAND", required=True
    )
    _add_verify(audit.add_parser("verify", help="tell the first line that is not what was written"))
    _add_exposure(audit.add_parser("exposure", help="list the credentials that a principal could have seen"))
    options = parser.parse_args(arguments)
    if options.command == "audit" and options.audit_command == "verify":
        options.expected = _expected(parser, options)
    return options


def _add_verify(verify: argparse.ArgumentParser) -> None:
    _add_files(verify)
    verify.add_argument(
        "--public-key", type=Path, metavar="FILE", help="a copy of audit.pub; default: the home's"
    )
    verify.add_argument("--expect-seq", type=int, metavar="N", help="a line that the registry recorded")
    verify.add_argument("--expect-head", metavar="HEX", help="its hash, 64 hex digits")


def _add_exposure(exposure: argparse.ArgumentParser) -> None:
    _add_files(exposure)
    exposure.add_argument(
        "--since", type=read_time, required=True, metavar="TIME", help="2026-11-23T12:00:00Z"
    )
    exposure.add_argument("--principal", default="", help="router:/run/kms/router.sock, or the role alone")


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, nargs="?", help="a file or directory; default: the audit of the home"
    )
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")


def _expected(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Position | None:
    if options.expect_seq is None and options.expect_head is None:
        return None
    if (options.expect_seq or 0) < 1 or not _HEAD.fullmatch(options.expect_head or ""):
        parser.error("--expect-seq N and --expect-head with 64 hex digits come together")
    return Position(options.expect_seq, bytes.fromhex(options.expect_head))
