"""docs/errors.md from the tables of registry and sidecar; --check only says whether it is current."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from kms.rpc.error_table import TABLE as SIDECAR
from runtime.statuses import Row
from service.rpc.error_table import TABLE as REGISTRY
from tools.steps import StepFailed, main_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"
_HEAD = """# Errors

A call that fails has a gRPC status whose details hold one `google.rpc.ErrorInfo` of the domain `codevector`.
Branch on its `reason`: reasons are stable, messages are not. `metadata` repeats the variables of the message.
Where they apply, `BadRequest` (one entry per field), `PreconditionFailure`, `ResourceInfo`, `QuotaFailure`
and `RetryInfo` stand beside it. Batches return the same statuses, one per item. No message repeats a value
that was sent: it may be a secret in the wrong field.

Generated from `service/rpc/error_table.py` and `kms/rpc/error_table.py`: `make errors` renews it.
"""


def page() -> str:
    """Return the page as the tables have it."""
    return "\n".join((_HEAD, *_section("The registry", REGISTRY), *_section("The key sidecar", SIDECAR)))


def _section(title: str, rows: Iterable[Row]) -> list[str]:
    lines = [
        f"## {title}",
        "",
        "| Reason | Code | Meaning | What to do | Retry |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{row.reason}` | {row.code.name} | {row.meaning} | {row.action} | {row.retry.value} |"
        for row in sorted(rows, key=lambda row: row.reason)
    ]
    return [*lines, ""]


def main(arguments: Sequence[str]) -> None:
    """Write the page, or with --check refuse one that differs.

    Raises:
        StepFailed: docs/errors.md is out of date.
    """
    if "--check" not in arguments:
        PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page():
        raise StepFailed("docs/errors.md is out of date: run `make errors` and commit it.")


if __name__ == "__main__":
    sys.exit(main_of(lambda: main(sys.argv[1:])))
