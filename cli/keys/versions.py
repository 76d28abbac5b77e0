"""Key versions as the sidecar lists them: names, order, changes of state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from codevector.kms.v1 import key_admin_service_pb2 as pb
from codevector.kms.v1.key_management_service_pb2 import KeyVersion
from google.protobuf import duration_pb2

from cli.failures import ExitCode, Failure
from cli.peers import Sidecar

PREFIX = "keyVersions/"
_PAGE_SIZE = 1000


def full_name(text: str) -> str:
    """Return ``keyVersions/{v}``, whether or not it was typed with its prefix."""
    return text if text.startswith(PREFIX) else f"{PREFIX}{text}"


def short_name(name: str) -> str:
    """Return the name without its prefix."""
    return name.removeprefix(PREFIX)


def state_word(version: KeyVersion) -> str:
    """Return ``PRIMARY`` and the like."""
    return KeyVersion.State.Name(version.state).removeprefix("STATE_")


def list_versions(admin: Sidecar) -> list[KeyVersion]:
    """Return all versions, oldest first."""
    versions: list[KeyVersion] = []
    request = pb.ListKeyVersionsRequest(page_size=_PAGE_SIZE)
    while True:
        page = admin.call(admin.admin.ListKeyVersions, request)
        versions += page.key_versions
        if not page.next_page_token:
            return versions
        request.page_token = page.next_page_token


def find(versions: Sequence[KeyVersion], name: str) -> KeyVersion:
    """Return the version of that name.

    Raises:
        Failure: there is none (exit code 3).
    """
    for version in versions:
        if version.name == name:
            return version
    raise Failure(f"key version {name} not found", code=ExitCode.NOT_FOUND)


def create(admin: Sidecar, request_id: str, expected_latest: str) -> KeyVersion:
    """Create a version and return it; a repeated request returns the one made the first time."""
    request = pb.CreateKeyVersionRequest(request_id=request_id, expected_latest=expected_latest)
    return admin.call(admin.admin.CreateKeyVersion, request)


def activate(admin: Sidecar, name: str) -> KeyVersion:
    return admin.call(admin.admin.ActivateKeyVersion, pb.ActivateKeyVersionRequest(name=name))


def disable(admin: Sidecar, name: str) -> KeyVersion:
    """Disable a version. The caller has checked that no wrapped key refers to it."""
    request = pb.DisableKeyVersionRequest(name=name, confirmed_unreferenced=True)
    return admin.call(admin.admin.DisableKeyVersion, request)


def enable(admin: Sidecar, name: str) -> KeyVersion:
    return admin.call(admin.admin.EnableKeyVersion, pb.EnableKeyVersionRequest(name=name))


def schedule_destruction(admin: Sidecar, name: str, delay: timedelta | None) -> KeyVersion:
    """Schedule it after ``delay``; None means the sidecar's default."""
    request = pb.ScheduleKeyVersionDestructionRequest(name=name)
    if delay is not None:
        request.delay.CopyFrom(duration_pb2.Duration(seconds=int(delay.total_seconds())))
    return admin.call(admin.admin.ScheduleKeyVersionDestruction, request)


def cancel_destruction(admin: Sidecar, name: str) -> KeyVersion:
    request = pb.CancelKeyVersionDestructionRequest(name=name)
    return admin.call(admin.admin.CancelKeyVersionDestruction, request)
