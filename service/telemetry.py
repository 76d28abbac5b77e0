"""Every log event of the registry. Fields never hold a message body, a credential or a filter."""

from __future__ import annotations

from typing import Final

COMPACTED: Final = "change_log_compacted"
COMPACTION_FAILED: Final = "change_log_compaction_failed"
DATABASE_LOST: Final = "database_lost"
HISTORY_CHANGED: Final = "history_changed"
KMS_AWAY: Final = "kms_away"
KMS_BACK: Final = "kms_back"
LIBRARY_MESSAGE: Final = "library_message"
NOTICES_LOST: Final = "notices_lost"
OPEN_FILES: Final = "open_files"
REPLICA_REJOINED: Final = "replica_rejoined"
ROUTER_EVICTED: Final = "router_evicted"
RESOURCE_CORRUPT: Final = "resource_corrupt"
ROUTERS_NOT_KEPT: Final = "routers_not_kept"
ROW_CHECK_FAILED: Final = "row_check_failed"
RPC_DONE: Final = "rpc_done"
RPC_FAILED: Final = "rpc_failed"
SEEN_NOT_KEPT: Final = "seen_not_kept"
SERVING: Final = "serving"
SNAPSHOT_FAILED: Final = "snapshot_failed"
STOPPING: Final = "stopping"
SWEEP_ENDED: Final = "sweep_ended"
SWEEP_FAILED: Final = "sweep_failed"
TASK_ENDED: Final = "background_task_ended"
