"""Fills MLflow's store with models and endpoints through its own Python API: `mlflow_models.py URI MODELS`.

Run by the Python that MLflow is installed for, not by this project's. All share the secret that is there.
"""

from __future__ import annotations

import sys

from mlflow.entities import GatewayEndpointModelConfig  # type: ignore[import-not-found]
from mlflow.entities.gateway_endpoint import GatewayModelLinkageType  # type: ignore[import-not-found]
from mlflow.tracking._tracking_service.utils import _get_store  # type: ignore[import-not-found]


def main(uri: str, models: int) -> None:
    store = _get_store(uri)
    secret = store.list_secret_infos()[0]
    for number in range(models):
        name = f"vendor-model-{number:05}"
        model = store.create_gateway_model_definition(name, secret.secret_id, "openai", name)
        mapping = GatewayEndpointModelConfig(model.model_definition_id, GatewayModelLinkageType.PRIMARY, 1.0)
        store.create_gateway_endpoint(name, [mapping], usage_tracking=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
