"""How values of the API are written for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from codevector.providers.v1 import model_pb2, provider_model_pb2, provider_pb2
from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp

from console import views

NOW = datetime(2026, 4, 15, 12, tzinfo=UTC)


def stamp(**before: float) -> Timestamp:
    return Timestamp(seconds=int((NOW - timedelta(**before)).timestamp()))


class TestTimes:
    @pytest.mark.parametrize(
        ("before", "words"),
        [
            ({"seconds": -5}, "just now"),
            ({"seconds": 59}, "just now"),
            ({"seconds": 60}, "1 minute ago"),
            ({"minutes": 59}, "59 minutes ago"),
            ({"hours": 23}, "23 hours ago"),
            ({"days": 3}, "3 days ago"),
            ({"days": 29}, "29 days ago"),
            ({"days": 61}, "2 months ago"),
        ],
    )
    def test_ago(self, before: dict[str, float], words: str) -> None:
        assert views.ago(stamp(**before), NOW) == words

    @pytest.mark.parametrize(
        ("days", "words"),
        [
            (-45, "retires in 45 days"),
            (-1, "retires in 1 day"),
            (0, "retires today"),
            (3, "retired 3 days ago"),
        ],
    )
    def test_retiring(self, days: int, words: str) -> None:
        assert views.retiring(stamp(days=days), NOW) == words

    def test_exact(self) -> None:
        assert views.exact(stamp()) == "2026-04-15 12:00:00 UTC"
        assert views.date(stamp()) == "15 Apr 2026"


class TestNumbers:
    @pytest.mark.parametrize(
        ("count", "words"),
        [(0, "–"), (512, "512"), (8192, "8.2K"), (128000, "128K"), (131072, "131K"), (1_000_000, "1M")],  # noqa: RUF001
    )
    def test_tokens(self, count: int, words: str) -> None:
        assert views.tokens(count) == words

    @pytest.mark.parametrize(
        ("pricing", "words"),
        [
            ({}, "–"),  # noqa: RUF001
            ({"input_per_million_tokens": "2.5", "output_per_million_tokens": "10"}, "$2.50 / $10.00"),
            ({"input_per_million_tokens": "0.0375"}, "$0.0375 / –"),  # noqa: RUF001
            ({"input_per_million_tokens": "0", "currency_code": "EUR"}, "EUR 0.00 / –"),  # noqa: RUF001
        ],
    )
    def test_prices(self, pricing: dict[str, str], words: str) -> None:
        given = ParseDict({"currency_code": "USD"} | pricing if pricing else {}, provider_model_pb2.Pricing())
        assert views.prices(given) == words


class TestStates:
    @pytest.mark.parametrize(
        ("provider", "tone", "why"),
        [
            (provider_pb2.Provider(state="STATE_DISABLED"), "off", ""),
            (
                provider_pb2.Provider(
                    state="STATE_ACTIVE", unroutable_reason="UNROUTABLE_REASON_NO_CREDENTIAL"
                ),
                "warn",
                "routes nothing: add a credential",
            ),
            (provider_pb2.Provider(state="STATE_ACTIVE"), "warn", "routes nothing: add or enable a model"),
            (provider_pb2.Provider(state="STATE_ACTIVE", active_model_count=1), "good", ""),
        ],
    )
    def test_of_a_provider(self, provider: provider_pb2.Provider, tone: str, why: str) -> None:
        status = views.provider_status(provider)
        assert (status.tone, status.why) == (tone, why)

    @pytest.mark.parametrize(
        ("backends", "breaks"),
        [
            (["providers/a/models/x"], "providers/a/models/x"),
            (["providers/a/models/x", "providers/a/models/y"], "providers/a"),
            (["providers/a/models/x", "providers/b/models/x"], ""),
        ],
    )
    def test_what_a_model_goes_down_with(self, backends: list[str], breaks: str) -> None:
        wires = [model_pb2.ModelBackend(provider_model=name, routable=True) for name in backends]
        assert views.model_row(model_pb2.Model(state="STATE_ACTIVE", backends=wires)).breaks == breaks
