"""What the registry says of fields, put beside the inputs that they came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from console.registry import Refusal, is_away

_UNREACHABLE = "The registry cannot be reached, so nothing was saved. Try again in a moment."
_UNANSWERED = "The registry did not answer in time. It is safe to send this again."


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a form came back: one sentence above it, and one for each input at fault."""

    sentence: str
    errors: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""


def provider_input(path: str) -> str:
    """Return the name of the input for a path within a provider, e.g. ``config.base_url``."""
    path = path.removeprefix("provider.").replace("candidate_credential", "credential", 1)
    if path == "display_name":
        return "name"
    if path.startswith("config."):
        return "config." + path.split(".")[2] if path.count(".") >= 2 else path
    return path.split("[")[0]


def problem_of(
    refusal: Refusal, inputs: Iterable[str], input_of: Callable[[str], str] = provider_input
) -> Problem:
    """Return what to show of a refusal.

    ``inputs`` are the names of the form's inputs, and ``input_of`` gives the one for a path of the API.
    """
    if is_away(refusal):
        return Problem(_UNANSWERED if refusal.status == "DEADLINE_EXCEEDED" else _UNREACHABLE)
    known, errors, rest = set(inputs), dict[str, str](), list[str]()
    for violation in refusal.fields:
        name = input_of(violation.subject)
        if name in known:
            errors.setdefault(name, _sentence(violation.description))
        else:
            rest.append(f"{violation.subject}: {violation.description}")
    if errors and not rest:
        sentence = "Some fields need another value." if len(errors) > 1 else "One field needs another value."
    else:
        sentence = _sentence("; ".join(rest) or refusal.message)
    return Problem(sentence, errors, refusal.request_id)


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else text + "."
