"""An administrator's program that rotates without end.

Run it as ``python -m tests.support.storms.rotation_driver SOCKET ADDRESS…``. It keeps nothing between two
steps, so it may be killed anywhere and run again: what is pending is activated, what is left on the old
version is moved, and what nothing refers to any more is disabled.
"""

from __future__ import annotations

import random
import sys
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import grpc
from codevector.kms.v1 import key_admin_service_pb2 as admin_pb2
from codevector.kms.v1 import key_admin_service_pb2_grpc as admin_grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from codevector.providers.v1 import system_service_pb2 as system_pb2
from codevector.providers.v1 import system_service_pb2_grpc as system_grpc

CALL_SECONDS = 60.0
MOST_MOVED_AT_ONCE = 60
_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200))
_STATE = kms_pb2.KeyVersion


class RotationDriver:
    """Rotations over one sidecar and the registries that it serves."""

    def __init__(self, admin_socket: str, addresses: Sequence[str], chance: random.Random) -> None:
        self._admin_channel = grpc.insecure_channel(f"unix:{admin_socket}", options=_OPTIONS)
        self._channels = [grpc.insecure_channel(address, options=_OPTIONS) for address in addresses]
        self._admin = admin_grpc.KeyAdminServiceStub(self._admin_channel)
        self._registries = [system_grpc.SystemServiceStub(channel) for channel in self._channels]
        self._chance = chance

    def close(self) -> None:
        for channel in (self._admin_channel, *self._channels):
            channel.close()

    def versions(self) -> list[kms_pb2.KeyVersion]:
        """All, oldest first."""
        found: list[kms_pb2.KeyVersion] = []
        request = admin_pb2.ListKeyVersionsRequest(page_size=1000)
        while True:
            page = self._admin.ListKeyVersions(request, timeout=CALL_SECONDS)
            found += page.key_versions
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def rotate(self) -> str:
        """Create a version, unless one was left pending, and activate it. Returns its name."""
        versions = self.versions()
        newest = versions[-1]
        if newest.state != _STATE.STATE_PENDING:
            newest = self._admin.CreateKeyVersion(
                admin_pb2.CreateKeyVersionRequest(
                    request_id=str(uuid.UUID(int=self._chance.getrandbits(128), version=4)),
                    expected_latest=newest.name,
                ),
                timeout=CALL_SECONDS,
            )
        request = admin_pb2.ActivateKeyVersionRequest(name=newest.name)
        return self._admin.ActivateKeyVersion(request, timeout=CALL_SECONDS).name

    def sweep(self) -> None:
        """Have what is left moved in small batches, beside the sweeps that registries do by themselves."""
        while True:
            request = system_pb2.RewrapDataKeysRequest(batch_size=self._chance.randint(1, MOST_MOVED_AT_ONCE))
            registry = self._chance.choice(self._registries)
            if registry.RewrapDataKeys(request, timeout=CALL_SECONDS).remaining_count == 0:
                return

    def usage(self) -> tuple[Counter[str], list[system_pb2.VerifyFailure]]:
        """How many wrappers are under which version, told from their bytes, and which of them do not open."""
        registry = self._chance.choice(self._registries)
        counts, failures = Counter[str](), list[system_pb2.VerifyFailure]()
        request = system_pb2.VerifyDataKeysRequest(page_size=100)
        while True:
            page = registry.VerifyDataKeys(request, timeout=CALL_SECONDS)
            counts.update({each.key_version: each.data_key_count for each in page.usage})
            failures += page.failures
            if not page.next_page_token:
                return counts, failures
            request.page_token = page.next_page_token

    def retire(self) -> None:
        """Disable every former version, if nothing is under one: a wrapper that is would open no more."""
        versions = self.versions()
        primary = next(each.name for each in versions if each.state == _STATE.STATE_PRIMARY)
        counts, failures = self.usage()
        if set(counts) <= {primary} and not failures:
            for version in versions:
                if version.state == _STATE.STATE_DECRYPT_ONLY:
                    request = admin_pb2.DisableKeyVersionRequest(
                        name=version.name, confirmed_unreferenced=True
                    )
                    self._admin.DisableKeyVersion(request, timeout=CALL_SECONDS)

    def finish(self) -> str:
        """One whole rotation, from a new version to nothing left under an old one."""
        primary = self.rotate()
        self.sweep()
        self.retire()
        return primary

    def run(self) -> None:
        """Rotate until killed. Whatever is away at the moment comes back."""
        while True:
            with suppress(grpc.RpcError):
                self.finish()


def main() -> None:
    admin_socket, *addresses = sys.argv[1:]
    RotationDriver(admin_socket, addresses, random.Random()).run()


if __name__ == "__main__":
    main()
