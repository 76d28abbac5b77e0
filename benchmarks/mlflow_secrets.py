"""Fills MLflow's store through its own Python API: `mlflow_secrets.py URI SECRETS ENDPOINTS UPSTREAM`.

Run by the Python that MLflow is installed for, not by this project's. The first secrets go through the call
that its server makes, with an endpoint each; the others share one derived KEK, as each derivation takes a
third of a second.
"""

from __future__ import annotations

import json
import sys
import time
import uuid

from mlflow.entities import GatewayEndpointModelConfig  # type: ignore[import-not-found]
from mlflow.entities.gateway_endpoint import GatewayModelLinkageType  # type: ignore[import-not-found]
from mlflow.store.tracking.dbmodels.models import SqlGatewaySecret  # type: ignore[import-not-found]
from mlflow.tracking._tracking_service.utils import _get_store  # type: ignore[import-not-found]
from mlflow.utils.crypto import KEKManager, _encrypt_secret  # type: ignore[import-not-found]

VALUE = {"api_key": "sk-" + "b" * 40}


def main(uri: str, secrets: int, endpoints: int, upstream: str) -> None:
    store = _get_store(uri)
    for number in range(endpoints):
        secret = store.create_gateway_secret(
            f"secret-{number}", VALUE, provider="openai", auth_config={"api_base": upstream}
        )
        model = store.create_gateway_model_definition(
            f"model-{number}", secret.secret_id, "openai", "bench-model"
        )
        mapping = GatewayEndpointModelConfig(model.model_definition_id, GatewayModelLinkageType.PRIMARY, 1.0)
        store.create_gateway_endpoint(f"endpoint-{number}", [mapping], usage_tracking=False)
    kek = KEKManager()
    now = int(time.time() * 1000)
    with store.ManagedSessionMaker(read_only=False) as session:
        for number in range(endpoints, secrets):
            secret_id, name = f"s-{uuid.uuid4().hex}", f"secret-{number}"
            sealed = _encrypt_secret(json.dumps(VALUE), kek, secret_id, name)
            row = SqlGatewaySecret(
                secret_id=secret_id,
                secret_name=name,
                encrypted_value=sealed.encrypted_value,
                wrapped_dek=sealed.wrapped_dek,
                masked_value=json.dumps({"api_key": "sk-...bbbb"}),
                kek_version=sealed.kek_version,
                provider="openai",
                created_at=now,
                last_updated_at=now,
            )
            session.add(store._with_workspace_field(row))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
