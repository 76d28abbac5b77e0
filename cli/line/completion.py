"""Completes words for bash, zsh and fish: the scripts that ask, and what the command offers them.

A script passes the words before the cursor and the one under it to the hidden command ``__complete``, which
prints a candidate a line, with a tab and an explanation. ``:files`` asks the shell for its own files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cli.line.command import Argument, Command, Completes, Group, Option, Takes
from cli.line.parsing import find, options_of

FILES = ":files"
Ids = Callable[[Completes], Sequence[str]]

SCRIPTS = {
    "bash": """\
_providerctl() {
    local candidate IFS=$'\\n'
    COMPREPLY=()
    while IFS=$'\\t' read -r candidate _; do
        if [ "$candidate" = ":files" ]; then
            COMPREPLY+=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
        else
            COMPREPLY+=("$candidate")
        fi
    done < <(providerctl __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o nosort -F _providerctl providerctl
""",
    "zsh": """\
#compdef providerctl
_providerctl() {
    local line word
    local -a candidates
    for line in "${(@f)$(providerctl __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        if [[ $line == ":files" ]]; then
            _files
        elif [[ -n $line ]]; then
            word=${line%%$'\\t'*}
            candidates+=("${word//:/\\\\:}${${line#$word}/$'\\t'/:}")
        fi
    done
    _describe -V providerctl candidates
}
compdef _providerctl providerctl
""",
    "fish": """\
function __providerctl
    set -l words (commandline -opc) (commandline -ct)
    for line in (providerctl __complete -- $words[2..-1] 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c providerctl -f -a '(__providerctl)'
""",
}
"""What ``providerctl completion SHELL`` prints, to be sourced."""


def candidates(root: Group, words: Sequence[str], ids: Ids) -> Iterator[tuple[str, str]]:
    """Yield what may stand in place of the last word, each with an explanation; all begin like that word.

    ``ids`` returns the registry's names of a sort.
    """
    *before, typed = words or [""]
    path, target = find(root, before)
    taking = {flag: option for option in options_of(target) for flag in option.flags}
    flag, equals, _ = typed.partition("=")
    previous = taking.get(before[-1]) if before else None
    if previous is not None and previous.takes is not Takes.NOTHING:
        found = _values(previous, ids)
    elif equals and flag in taking:
        found = ((f"{flag}={value}", text) for value, text in _values(taking[flag], ids))
    elif typed.startswith("-"):
        shown = [option for option in options_of(target) if not option.refused]
        found = ((f"--{option.name}", option.help) for option in shown)
    elif isinstance(target, Group):
        found = ((each.name, each.help) for each in target.members if not getattr(each, "hidden", False))
    else:
        argument = _argument(target, _arguments_typed(before, path, taking))
        found = iter(()) if argument is None else _values(argument, ids)
    yield from ((word, text) for word, text in found if word == FILES or word.startswith(typed))


def _values(taker: Option | Argument, ids: Ids) -> Iterator[tuple[str, str]]:
    for choice in taker.choices:
        yield choice, ""
    if taker.completes is Completes.FILES:
        yield FILES, ""
    elif taker.completes is not Completes.NOTHING:
        for name in ids(taker.completes):
            yield name, ""


def _arguments_typed(before: Sequence[str], path: Sequence[str], taking: dict[str, Option]) -> int:
    """Return how many arguments of the command stand before the cursor."""
    count = -len(path)
    waiting = iter(before)
    for word in waiting:
        option = taking.get(word)
        if option is not None and option.takes is not Takes.NOTHING:
            next(waiting, None)
        elif not word.startswith("-"):
            count += 1
    return count


def _argument(command: Command, index: int) -> Argument | None:
    if index < len(command.arguments):
        return command.arguments[index]
    last = command.arguments[-1] if command.arguments else None
    return last if last is not None and last.takes is Takes.TEXTS else None
