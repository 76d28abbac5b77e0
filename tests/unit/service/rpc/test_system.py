"""Which version runs, and where its data is."""

from __future__ import annotations

from importlib.metadata import version
from uuid import UUID

from codevector.providers.v1 import routing_service_pb2 as routing
from codevector.providers.v1 import system_service_pb2 as pb

from tests.support.servers.api import Api
from tests.support.servers.wired import OPEN_FILES


class TestGetSystemInfo:
    def test_says_what_runs_on_which_store(self, api: Api) -> None:
        api.create()
        info = api.instance.system.GetSystemInfo(pb.GetSystemInfoRequest())
        assert info.version == version("codevector-provider-service")
        assert info.open_file_limit == OPEN_FILES
        assert info.storage == pb.GetSystemInfoResponse.STORAGE_SQLITE
        assert 0 <= info.compact_revision <= info.revision == api.revision()
        head = api.call("GetRoutingSnapshot", routing.GetRoutingSnapshotRequest()).snapshot
        assert UUID(info.store_id) == UUID(head.store_id)
