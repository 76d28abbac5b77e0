"""Log lines: JSON with the event's name, and nothing that may quote a request."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from runtime.logs import LibraryLines, bug_fields, build_logger


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class TestLogger:
    def test_a_line_is_json_with_level_and_time(self) -> None:
        stream = io.StringIO()
        build_logger(stream, logging.INFO).info("something_done", count=3)
        (line,) = lines(stream)
        assert (line["event"], line["level"], line["count"]) == ("something_done", "info", 3)
        assert line["timestamp"].endswith("Z")

    @pytest.mark.parametrize(
        ("level", "events"),
        [
            (logging.DEBUG, ["debug", "info", "error"]),
            (logging.INFO, ["info", "error"]),
            (logging.ERROR, ["error"]),
        ],
        ids=["debug", "info", "error"],
    )
    def test_lines_below_the_level_are_left_out(self, level: int, events: list[str]) -> None:
        stream = io.StringIO()
        logger = build_logger(stream, level)
        logger.debug("debug")
        logger.info("info")
        logger.error("error")
        assert [line["event"] for line in lines(stream)] == events


class TestBugFields:
    def test_type_and_place_without_the_text(self) -> None:
        def broken() -> None:
            raise LookupError("canary")

        with pytest.raises(LookupError) as caught:
            broken()
        fields = bug_fields(caught.value)
        assert fields["error"] == "LookupError"
        assert "test_logs.py" in str(fields["stack"])
        assert "in broken" not in str(fields)
        assert "broken" in str(fields["stack"])
        assert "canary" not in str(fields)


class TestLibraryLines:
    def test_a_library_is_named_and_not_quoted(self) -> None:
        stream = io.StringIO()
        library = logging.Logger("a.library")
        library.addHandler(LibraryLines(build_logger(stream, logging.INFO), "library_message"))
        library.warning("said %s", "canary")
        library.info("said less")
        (line,) = lines(stream)
        assert (line["event"], line["library"]) == ("library_message", "a.library")
        assert line["where"].startswith("test_logs:")
        assert "canary" not in stream.getvalue()
