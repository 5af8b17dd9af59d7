"""What requests to Railway can destroy, as its control plane is modelled here (`docs/railway.md`)."""

from __future__ import annotations

from harness.facts import Destruction

_DELETION = "tests/replicas/railway/test_deletion.py::"
_COPIES = "tests/replicas/railway/test_copies.py::"
_MAIL = "the link in a mail to the owner, for 48 hours"

RAILWAY_DESTRUCTION = (
    Destruction(
        operation="`volumeDelete`, profile `legacy`",
        verb="request",
        undo="",
        takes_along="every backup of the volume, locked ones too, in every environment",
        guard="a token of one environment, when the volume stands in others; copies elsewhere",
        basis="modelled",
        evidence=_DELETION + "test_a_volume_goes_in_every_environment_at_once_and_its_backups_with_it",
    ),
    Destruction(
        operation="`volumeDelete`, profile `current`",
        verb="request",
        undo=_MAIL,
        takes_along="its backups are hidden meanwhile, and go with it after",
        guard="the 48 hours; copies elsewhere",
        basis="modelled",
        evidence=_DELETION + "test_a_soft_deleted_volume_is_hidden_with_its_backups_until_it_is_taken_back",
    ),
    Destruction(
        operation="`environmentDelete`, `projectDelete`, `workspaceDelete`, profile `legacy`",
        verb="request",
        undo="",
        takes_along="every volume in it, with its backups",
        guard="a token of one environment of one project",
        basis="modelled",
        evidence=_DELETION + "test_a_project_goes_with_everything_in_it",
    ),
    Destruction(
        operation="`environmentDelete`, `projectDelete`, `serviceDelete`, profile `current`",
        verb="request",
        undo=_MAIL,
        takes_along="backups of the volumes in it are hidden meanwhile, and go with it after",
        guard="the 48 hours; a token of one environment of one project",
        basis="modelled",
        evidence=_DELETION + "test_every_delete_can_be_taken_back_in_the_current_profile",
    ),
    Destruction(
        operation="`serviceDelete`, profile `legacy`",
        verb="request",
        undo="a new service; its volumes stay, detached",
        takes_along="",
        guard="a token of one environment of one project",
        basis="modelled",
        evidence=_DELETION + "test_a_service_leaves_its_volumes_behind_detached",
    ),
    Destruction(
        operation="`projectScheduleDelete`",
        verb="request",
        undo="`projectScheduleDeleteCancel`, for 48 hours",
        takes_along="every volume in it, with its backups, after that",
        guard="the 48 hours",
        basis="modelled",
        evidence=_DELETION + "test_a_project_in_either_profile_can_be_scheduled_and_spared",
    ),
    Destruction(
        operation="`projectScheduleDeleteForce`",
        verb="request",
        undo="",
        takes_along="every volume in it, with its backups, and deletions that still waited",
        guard="a token of one environment; copies elsewhere",
        basis="modelled",
        evidence=_DELETION + "test_force_leaves_nothing_to_take_back",
    ),
    Destruction(
        operation="`environmentPatchCommitStaged` with `isDeleted`",
        verb="request",
        undo="not committing it",
        takes_along="backups of the volume in that environment",
        guard="the staged change waits to be deployed",
        basis="modelled",
        evidence=_DELETION + "test_a_staged_deletion_happens_when_it_is_deployed_and_in_its_environment_only",
    ),
    Destruction(
        operation="`volumeInstanceBackupDelete`",
        verb="request",
        undo="",
        takes_along="it is the backup; its lock only takes the expiry away",
        guard="copies elsewhere",
        basis="modelled",
        evidence=_COPIES + "test_a_locked_backup_does_not_expire_but_can_be_deleted",
    ),
    Destruction(
        operation="`volumeInstanceBackupRestore`",
        verb="request",
        undo="",
        takes_along="every backup newer than the one restored",
        guard="copies elsewhere",
        basis="modelled",
        evidence=_COPIES + "test_a_restore_removes_newer_backups_and_keeps_older_ones",
    ),
)
