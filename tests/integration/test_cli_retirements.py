"""``providerctl provider retirements`` against a real registry: what ends, and who is left without any."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from codevector.providers.v1 import model_pb2, provider_model_pb2, provider_pb2
from codevector.providers.v1 import model_service_pb2 as models_pb
from codevector.providers.v1 import model_service_pb2_grpc as models_grpc
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.servers.harness import ROOT, Instance, running

CHAT = provider_model_pb2.MODEL_KIND_CHAT


def add_model(made: Instance, upstream_id: str, retires: datetime | None) -> str:
    model = provider_model_pb2.ProviderModel(upstream_model_id=upstream_id, kind=CHAT)
    if retires is not None:
        model.retire_time.CopyFrom(Timestamp(seconds=int(retires.timestamp())))
    request = pb.CreateProviderModelRequest(parent="providers/acme", provider_model=model)
    return made.providers.CreateProviderModel(request).name


def providerctl(made: Instance, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        env=made.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_names_what_ends_and_who_loses_the_last_backend() -> None:
    soon = datetime.now(UTC) + timedelta(days=20)
    with running() as made:
        made.providers.CreateProvider(
            pb.CreateProviderRequest(
                provider_id="acme",
                provider=provider_pb2.Provider(
                    display_name="Acme",
                    kind=provider_pb2.PROVIDER_KIND_OPENAI_COMPATIBLE,
                    config=provider_pb2.ProviderConfig(
                        openai_compatible=provider_pb2.OpenAICompatibleConfig(
                            base_url="https://acme.example/v1"
                        )
                    ),
                ),
            )
        )
        ending, staying = add_model(made, "ending", soon), add_model(made, "staying", None)
        assert made.channel is not None
        stub = models_grpc.ModelServiceStub(made.channel)
        for name, backends in (("lonely", [ending]), ("safe", [ending, staying])):
            stub.CreateModel(
                models_pb.CreateModelRequest(
                    model_id=name,
                    model=model_pb2.Model(
                        display_name=name,
                        kind=CHAT,
                        backends=[model_pb2.ModelBackend(provider_model=each) for each in backends],
                    ),
                )
            )

        answer = json.loads(providerctl(made, "provider", "retirements", "--days", "30", "-o", "json"))
        assert [each["providerModel"] for each in answer["retirements"]] == [ending]
        assert answer["affectedModelCount"] == 2
        assert answer["modelsLeftUnroutable"] == ["models/lonely"]

        table = providerctl(made, "provider", "retirements", "--days", "30", "--provider", "acme")
        assert f"{soon:%Y-%m-%d}" in table
        assert "models that lose their last: 1" in table

        nothing = json.loads(providerctl(made, "provider", "retirements", "--days", "10", "-o", "json"))
        assert nothing["retirements"] == []
