"""The documentation that the console serves: every example is a call that the API has."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from html import unescape

import pytest
from codevector.providers.v1 import (
    model_service_pb2,
    provider_service_pb2,
    routing_service_pb2,
    system_service_pb2,
)
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from starlette.testclient import TestClient

from console import app
from console.pages.docs import CONTENTS
from console.settings import load
from runtime.logs import build_logger
from tests.support.servers.ports import free_port

SERVICES = {
    service.full_name: service
    for file in (model_service_pb2, provider_service_pb2, routing_service_pb2, system_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
}
EXAMPLE = re.compile(r"grpcurl -d '(?P<request>.*?)' .* (?P<service>[\w.]+)/(?P<method>\w+)$")


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A browser before a console whose registry is away."""
    settings = load({"CODEVECTOR_GRPC_PORT": str(free_port())})
    with app.build(settings, build_logger(io.StringIO(), logging.INFO)) as application:
        yield TestClient(application, base_url="http://127.0.0.1:8080")


def examples(html: str) -> list[str]:
    """What a reader copies from a page."""
    found = re.findall(r"<pre[^>]*>(.*?)</pre>", html, re.DOTALL)
    return [unescape(re.sub(r"<[^>]+>", "", each)) for each in found]


@pytest.mark.parametrize("name", CONTENTS)
class TestPages:
    def test_is_served_while_the_registry_is_away(self, client: TestClient, name: str) -> None:
        response = client.get(f"/docs/{name}")
        assert response.status_code == 200
        assert f"<h1>{CONTENTS[name]}</h1>" in response.text

    def test_every_example_is_a_request_of_the_api(self, client: TestClient, name: str) -> None:
        calls = [
            match
            for each in examples(client.get(f"/docs/{name}").text)
            if each.startswith("grpcurl -d")
            for match in [EXAMPLE.match(each.replace("\\\n", ""))]
        ]
        assert calls
        for call in calls:
            assert call is not None
            method = SERVICES[call["service"]].methods_by_name[call["method"]]
            request = json.loads(call["request"])
            if mask := request.get("update_mask"):
                request["update_mask"] = FieldMask(**mask).ToJsonString()  # grpcurl takes the message itself
            ParseDict(request, GetMessageClass(method.input_type)())

    def test_nothing_in_it_is_inline(self, client: TestClient, name: str) -> None:
        html = client.get(f"/docs/{name}").text
        assert not re.search(r"<script(?! src=)|<style|style=|\son\w+=", html)


def test_docs_lead_to_the_first_page(client: TestClient) -> None:
    assert client.get("/docs").url.path == "/docs/providers"
