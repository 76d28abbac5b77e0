"""Every log event of the sidecar. Fields never hold a message body, a context, a wrapped key or a key."""

from __future__ import annotations

from typing import Final

AUDIT_NOT_CLOSED: Final = "kms_audit_not_closed"
AUDIT_OPENED: Final = "kms_audit_opened"
CALL: Final = "kms_call"
CALLS_REFUSED: Final = "kms_calls_refused"
CALL_FAILED: Final = "kms_call_failed"
KEYRING_OPENED: Final = "kms_keyring_opened"
KEY_VERSION_DESTROYED: Final = "kms_key_version_destroyed"
LIBRARY_MESSAGE: Final = "kms_library_message"
MEMORY: Final = "kms_memory"
OPEN_FILES: Final = "kms_open_files"
SERVING: Final = "kms_serving"
STOPPING: Final = "kms_stopping"
UPKEEP: Final = "kms_upkeep"
