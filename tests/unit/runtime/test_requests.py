"""The request id's one grammar, and the paths of broken rules."""

from __future__ import annotations

import protovalidate
import pytest
from codevector.kms.v1 import key_management_service_pb2 as kms_pb
from codevector.providers.v1 import provider_pb2, provider_service_pb2

from runtime.requests import broken_rule, request_id_of


class TestRequestId:
    @pytest.mark.parametrize(
        "value",
        ["a", "A.b_c:d-9", "x" * 128, "8d1a8b8e-9f5d-4a71-9f0a-6c9f6a0a4a10"],
    )
    def test_a_short_printable_one_is_taken(self, value: str) -> None:
        assert request_id_of([("x-request-id", value)]) == value

    @pytest.mark.parametrize(
        "value",
        ["", "x" * 129, "with blank", "line\nbreak", "a/b", 'quote"', "ümlaut", "a\n", b"bytes"],
        ids=repr,
    )
    def test_another_one_is_not(self, value: str | bytes) -> None:
        assert request_id_of([("x-request-id", value)]) is None

    def test_no_metadata(self) -> None:
        assert request_id_of([]) is None

    def test_the_first_good_one_counts(self) -> None:
        metadata = [("other", "a"), ("x-request-id", "no good"), ("x-request-id", "b"), ("x-request-id", "c")]
        assert request_id_of(metadata) == "b"


class TestBrokenRule:
    def test_a_path_has_indexes(self) -> None:
        request = kms_pb.BatchWrapDataKeysRequest(
            items=[
                kms_pb.WrapItem(context=b"c", plaintext=bytes(32)),
                kms_pb.WrapItem(context=b"c", plaintext=bytes(31)),
            ]
        )
        broken = [broken_rule(each) for each in protovalidate.collect_violations(request)]
        assert [each.subject for each in broken] == ["items[1].plaintext"]
        assert all(each.description and each.rule for each in broken)

    def test_a_path_never_has_map_keys(self) -> None:
        request = provider_service_pb2.CreateProviderRequest(
            provider_id="a",
            provider=provider_pb2.Provider(
                display_name="A",
                kind=provider_pb2.PROVIDER_KIND_OPENAI,
                labels={"sk-Canary-Key": "v"},
            ),
        )
        broken = [broken_rule(each) for each in protovalidate.collect_violations(request)]
        assert [each.subject for each in broken] == ["provider.labels"]
        assert "canary" not in str(broken).lower()
