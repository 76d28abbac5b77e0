"""Whatever an upstream says, it is judged: no answer raises, and none but a listing counts as one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upstreams.aws import assumed_key
from upstreams.exchange import Answer
from upstreams.judgement import judge, judge_entra, judge_google_token, judge_role
from upstreams.kinds import ProviderKind
from upstreams.offers import shelves
from upstreams.outcome import Reason, Verdict, outcome
from upstreams.target import Target

NAMES = st.sampled_from(
    [
        "data",
        "models",
        "modelSummaries",
        "publisherModels",
        "nextPageToken",
        "error",
        "error_codes",
        "error_description",
        "code",
        "message",
        "details",
        "__type",
        "id",
        "name",
        "last_id",
        "has_more",
        "modelId",
        "modelLifecycle",
        "endOfLifeTime",
        "capabilities",
        "deprecation",
        "inference",
        "outputModalities",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | NAMES
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)
STATUSES = st.sampled_from(
    [200, 204, 302, 400, 401, 402, 403, 404, 405, 429, 500, 501, 503, 529]
) | st.integers(200, 599)
CONFIG = {
    "endpoint": "https://lab.openai.azure.com",
    "region": "eu-west-1",
    "project_id": "lab-project",
    "location": "global",
    "base_url": "https://gateway.example",
}
TARGETS = st.sampled_from([Target(kind=kind.word, config=CONFIG) for kind in ProviderKind])


def answer_of(status: int, document: Any) -> Answer:
    return Answer(status, {}, json.dumps(document).encode())


@given(TARGETS, STATUSES, DOCUMENTS, st.booleans())
def test_no_answer_raises(target: Target, status: int, document: Any, with_credential: bool) -> None:
    answer = answer_of(status, document)
    reason = judge(target.kind, answer, with_credential=with_credential)
    assert (reason is Reason.LISTED) <= (status == 200)
    assert outcome(reason, target.kind).message


@given(TARGETS, DOCUMENTS)
def test_what_counts_as_a_listing_can_be_read(target: Target, document: Any) -> None:
    answer = answer_of(200, document)
    for shelf in shelves(target):
        if judge(target.kind, answer, member=shelf.member) is Reason.LISTED:
            page = shelf.read(answer.document())
            assert all(model.upstream_model_id.isascii() for model in page.models)
            assert page.skipped_count >= 0


@given(STATUSES, DOCUMENTS)
def test_no_answer_of_a_token_endpoint_raises(status: int, document: Any) -> None:
    answer = answer_of(status, document)
    for judged in (judge_entra(answer), judge_google_token(answer), judge_role(answer)):
        assert (judged is None) == (status == 200)
    assert assumed_key(answer) is None


def test_codes_that_are_no_numbers() -> None:
    answer = answer_of(401, {"error": "invalid_client", "error_codes": [[7000222], {}, "7000222", None]})
    assert judge_entra(answer) is Reason.BAD_KEY


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("kind", [kind.word for kind in ProviderKind])
def test_every_reason_has_a_sentence(reason: Reason, kind: str) -> None:
    one = outcome(reason, kind, http_status_code=403, latency_ms=7)
    assert one.message.endswith(".")
    assert len(one.message) < 200
    assert one.verdict in Verdict
