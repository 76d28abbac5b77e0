"""Deletes after showing what is lost: a person types the name, a script brings the token of a preview."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from cli.failures import Failure, UsageFailure
from cli.messages import as_json
from cli.resources import prompts
from cli.resources.names import short
from cli.session import Session
from cli.terminal.output import Cell, Column, Facts, Section, Tone, Value


class Impact(Protocol):
    """What DeletionImpact has that is shown."""

    impact_token: str
    provider_model_count: int
    backend_count: int
    models_left_unroutable_count: int
    credential_destroyed: bool


def delete(
    session: Session,
    names: list[str],
    call: Callable[[bool, str], object],
    *,
    yes: bool,
    impact_token: str,
    dry_run: bool,
) -> None:
    """Preview, confirm and delete. ``call`` takes whether to preview only, and the token that confirms.

    Raises:
        UsageFailure: nobody can be asked, and --yes or --impact-token is missing.
        Failure: the name was not typed.
    """
    if not dry_run and not yes and not prompts.can_ask(session):
        raise UsageFailure(
            "a deletion needs --yes and --impact-token, which --dry-run -o json prints as impactToken"
        )
    if yes and not impact_token:
        raise UsageFailure("--yes needs --impact-token, which --dry-run -o json prints as impactToken")
    if not yes or dry_run:
        preview = call(True, "")
        parts = list(_shown(preview.impact))  # type: ignore[attr-defined]
        if dry_run:
            session.terminal.show(as_json(preview), *parts)  # type: ignore[arg-type]
            session.terminal.say("dry run: nothing was deleted", Tone.QUIET)
            return
        _confirm(session, names, parts)
        impact_token = preview.impact.impact_token  # type: ignore[attr-defined]
    deleted = call(False, impact_token)
    session.terminal.show(as_json(deleted), *_shown(deleted.impact))  # type: ignore[arg-type, attr-defined]
    what = names[0] if len(names) == 1 else f"{len(names)} provider models"
    session.terminal.say(f"deleted {what} at revision {deleted.revision}", Tone.GOOD)  # type: ignore[attr-defined]


def _confirm(session: Session, names: list[str], parts: list[Section | Facts]) -> None:
    for part in parts:
        session.terminal.show_aside(part)
    wanted = short(names[0]) if len(names) == 1 else str(len(names))
    what = "its name" if len(names) == 1 else "how many they are"
    typed = prompts.ask(session, f"Type {what} to delete ({wanted})")
    if typed not in (wanted, names[0]):
        raise Failure("not deleted: what was typed is something else")


def _shown(impact: Impact) -> Iterator[Section | Facts]:
    left = impact.models_left_unroutable_count
    counts: list[tuple[str, Value]] = [
        ("provider models deleted", impact.provider_model_count),
        ("backends deleted", impact.backend_count),
        ("models left without any backend", Cell(str(left), Tone.BAD) if left else 0),
        ("credential destroyed", Cell("yes", Tone.WARNING) if impact.credential_destroyed else "no"),
    ]
    yield Facts(counts)
    backends = impact.backends  # type: ignore[attr-defined]
    if backends:
        yield Section(
            "",
            (Column("model", whole=True), Column("loses", whole=True), "backends left"),
            [
                (
                    short(each.model),
                    short(each.provider_model),
                    each.remaining_routable_backends or Cell("none", Tone.BAD),
                )
                for each in backends
            ],
        )
