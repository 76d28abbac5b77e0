"""``providerctl key``: key versions, their rotation with proof, their end, and what a compromise needs."""

from __future__ import annotations

from cli.line.command import Argument, Command, Completes, Group, Option, Takes

_WORK = "cli.keys.commands"

_VERSION = Argument("VERSION", "The version, with or without keyVersions/.", completes=Completes.KEY_VERSIONS)
_SINCE = Option(
    "since", "2026-04-15T08:00:00Z, 2026-04-15, or 36h for 36 hours ago.", value="TIME", required=True
)
_PRINCIPAL = Option(
    "principal", "Only this caller, as the audit names it, or its part before the colon.", value="NAME"
)
_RELEASE = Option(
    "release-quarantined", "First release quarantined data keys, so that they are tried again.", Takes.NOTHING
)

KEY = Group(
    "key",
    "Rotate, verify and retire key versions.",
    (
        Command(
            "status",
            "Show how stored data keys are wrapped, and whether the sidecar works.",
            f"{_WORK}:status",
        ),
        Command("list", "List the key versions, oldest first.", f"{_WORK}:list_"),
        Command(
            "rotate",
            "Rotate to a new version, move every data key to it, verify all, and write a receipt.",
            f"{_WORK}:rotate",
            options=(
                Option(
                    "receipt",
                    "Where the receipt is written. Default: receipts/ in the home.",
                    Takes.PATH,
                    "FILE",
                    completes=Completes.FILES,
                ),
                _RELEASE,
            ),
            more="It asks nothing. Rerun it to resume an interrupted rotation. It succeeds only if no data "
            "key is left under an old version.",
        ),
        Command(
            "rewrap",
            "Move all data keys to the primary version now, without waiting for the registry's own sweep.",
            f"{_WORK}:rewrap",
            options=(_RELEASE,),
        ),
        Command(
            "verify",
            "Open and check every data key, and count them by the version that wraps them.",
            f"{_WORK}:verify",
        ),
        Command(
            "retire",
            "Disable a version that wraps no data key, after checking twice, more than a minute apart.",
            f"{_WORK}:retire",
            (_VERSION,),
        ),
        Command(
            "create",
            "Create a version: PENDING until it is activated, or PRIMARY at once in Vault.",
            f"{_WORK}:create",
            options=(
                Option(
                    "request-id",
                    "A UUID; a repeated one returns the version made the first time.",
                    value="UUID",
                ),
                Option(
                    "expected-latest",
                    "Fail if another version is the newest. Default: the newest now.",
                    value="VERSION",
                    completes=Completes.KEY_VERSIONS,
                ),
            ),
        ),
        Command(
            "activate",
            "Make a pending version the primary; the registry then moves all data keys to it.",
            f"{_WORK}:activate",
            (_VERSION,),
        ),
        Command(
            "disable",
            "Disable a version without checking that nothing needs it; `retire` checks first.",
            f"{_WORK}:disable",
            (_VERSION,),
            (
                Option(
                    "confirm-unreferenced", "Confirm that no wrapped data key refers to it.", Takes.NOTHING
                ),
            ),
        ),
        Command("enable", "Let a disabled version unwrap data keys again.", f"{_WORK}:enable", (_VERSION,)),
        Command(
            "schedule-destroy",
            "Destroy a version's key after a delay; it must have been disabled for 7 days.",
            f"{_WORK}:schedule_destroy",
            (_VERSION,),
            (
                Option(
                    "delay",
                    "How long from now, e.g. 30d: at least as long as backups are kept.",
                    value="DURATION",
                ),
            ),
        ),
        Command(
            "cancel-destroy",
            "Cancel a scheduled destruction; the version is disabled again.",
            f"{_WORK}:cancel_destroy",
            (_VERSION,),
        ),
        Group(
            "receipt",
            "Check the receipts of rotations.",
            (
                Command(
                    "check",
                    "Check that a receipt is as it was written, and that what it says still holds.",
                    f"{_WORK}:receipt_check_",
                    (Argument("FILE", "The receipt.", Takes.PATH, completes=Completes.FILES),),
                    (Option("offline", "Check only the receipt itself.", Takes.NOTHING),),
                ),
            ),
        ),
        Group(
            "audit",
            "Read the sidecar's audit.",
            (
                Command(
                    "verify",
                    "Check the sidecar's audit for lines that were deleted, edited, reordered or cut off.",
                    f"{_WORK}:audit_verify",
                    options=(
                        Option("alone", "Do not compare it with what the registry recorded.", Takes.NOTHING),
                    ),
                ),
                Command(
                    "exposure",
                    "List the credentials whose data keys a caller of the sidecar received since a time.",
                    f"{_WORK}:audit_exposure",
                    options=(_SINCE, _PRINCIPAL),
                ),
            ),
        ),
        Group(
            "compromise",
            "Rotate, list and track after a compromise.",
            (
                Command(
                    "start",
                    "List what was exposed in a case file, then rotate.",
                    f"{_WORK}:compromise_start",
                    options=(
                        _SINCE,
                        _PRINCIPAL,
                        Option(
                            "case",
                            "Where the case file is written. Default: receipts/ in the home.",
                            Takes.PATH,
                            "FILE",
                            completes=Completes.FILES,
                        ),
                        Option(
                            "all",
                            "Count every stored credential as exposed: database and keys were stolen.",
                            Takes.NOTHING,
                        ),
                        Option(
                            "sidecar",
                            "Admin socket of a further sidecar.",
                            Takes.TEXTS,
                            "SOCKET",
                            completes=Completes.FILES,
                        ),
                    ),
                    more="Every sidecar has an audit of its own: name the admin sockets of all. Rerun "
                    "it to resume after an interruption.",
                ),
                Command(
                    "status",
                    "Show which exposed credentials are still in use; it succeeds when none is.",
                    f"{_WORK}:compromise_status",
                    (Argument("CASE", "The case file.", Takes.PATH, completes=Completes.FILES),),
                ),
            ),
        ),
    ),
)
