"""Command line of the catalog tool. Exit codes: 0 done, 1 refused, 2 wrong usage."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from service.domain.catalog import kind_slug
from tools.catalog.build import BuildError, build_release
from tools.catalog.diff import as_json, as_table, compare_releases, release_before
from tools.catalog.document import CatalogFileError
from tools.catalog.reader import RELEASE_NAME
from tools.catalog.validate import validate_catalogs

DEFAULT_CATALOGS = Path(__file__).parent.parent.parent / "catalogs"


def main(arguments: Sequence[str]) -> int:
    """Run one command. Results go to stdout, refusals to stderr."""
    parser = argparse.ArgumentParser(prog="python -m tools.catalog", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build a release from facts, and validate it")
    build.add_argument("--release", type=_release, required=True, metavar="YYYY.MM.DD")
    build.add_argument("--facts", type=Path, required=True, metavar="DIRECTORY", help="one .json per kind")
    build.add_argument("--replace", action="store_true", help="overwrite a release that was never published")
    validate = commands.add_parser("validate", help="check everything that is bundled")
    diff = commands.add_parser("diff", help="show what one release changes against another")
    diff.add_argument("before", type=_release, metavar="BEFORE")
    diff.add_argument("now", type=_release, metavar="NOW")
    diff.add_argument("-o", "--output", choices=["table", "json"], default="table")
    for command in (build, validate, diff):
        command.add_argument("--catalogs", type=Path, default=DEFAULT_CATALOGS, metavar="DIRECTORY")
    options = parser.parse_args(arguments)
    try:
        if options.command == "build":
            _build(options)
        elif options.command == "diff":
            _diff(options)
        else:
            _validate(options.catalogs)
    except (CatalogFileError, BuildError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _build(options: argparse.Namespace) -> None:
    result = build_release(options.release, options.facts, options.catalogs, replace=options.replace)
    done = "built" if result.changed else "unchanged"
    print(f"{done} {result.directory}: {result.models} models, {result.needs_review} to review")
    validate_catalogs(options.catalogs)
    before = release_before(options.catalogs, options.release)
    if before is not None:
        print(as_table(compare_releases(options.catalogs / before, result.directory)))


def _diff(options: argparse.Namespace) -> None:
    difference = compare_releases(options.catalogs / options.before, options.catalogs / options.now)
    print(as_json(difference) if options.output == "json" else as_table(difference))


def _validate(root: Path) -> None:
    for catalog in validate_catalogs(root).catalogs:
        under_review = sum(model.needs_review for model in catalog.models)
        label = f"{catalog.version} {kind_slug(catalog.kind)}"
        print(f"{label}: {len(catalog.models)} models, {under_review} to review")


def _release(text: str) -> str:
    if RELEASE_NAME.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text} is not YYYY.MM.DD")
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
