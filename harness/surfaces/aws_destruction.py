"""What calls to AWS can destroy, as its control plane is modelled here (`docs/aws.md`)."""

from __future__ import annotations

from harness.facts import Destruction

_DATABASES = "tests/replicas/aws/test_databases.py::"
_VOLUMES = "tests/replicas/aws/test_volumes.py::"
_VAULTS = "tests/replicas/aws/test_vaults.py::"
_REPLICA = "tests/replicas/aws/test_replica.py::"
_SEARCHES = "tests/search/test_aws.py::"

AWS_DESTRUCTION = (
    Destruction(
        operation="`DeleteDBInstance` with `SkipFinalSnapshot`",
        verb="rds-delete-db-instance",
        undo="",
        takes_along="every automated snapshot, unless `DeleteAutomatedBackups` is false; manual ones stay",
        guard="`DeletionProtection`, held by a role that may not `ModifyDBInstance`; manual snapshots and"
        " vaults that the role may not delete from",
        basis="modelled",
        evidence=_DATABASES
        + "test_a_deleted_instance_takes_its_server_its_files_and_its_automated_snapshots_along",
    ),
    Destruction(
        operation="`ModifyDBInstance` with `DeletionProtection` false",
        verb="rds-modify-db-instance",
        undo="switching it on again",
        takes_along="",
        guard="a deny of `rds:ModifyDBInstance` on the instance",
        basis="modelled",
        evidence=_DATABASES + "test_deletion_protection_refuses_and_whoever_may_modify_switches_it_off",
    ),
    Destruction(
        operation="`ModifyDBInstance` with `BackupRetentionPeriod` 0 or less than before",
        verb="rds-modify-db-instance",
        undo="",
        takes_along="the automated snapshots that are then too old; all of them at 0",
        guard="a deny of `rds:ModifyDBInstance` on the instance; manual snapshots; a vault",
        basis="modelled",
        evidence=_DATABASES + "test_automated_snapshots_cannot_be_deleted_alone_but_go_with_their_retention",
    ),
    Destruction(
        operation="`DeleteDBSnapshot`",
        verb="rds-delete-db-snapshot",
        undo="",
        takes_along="it is the backup; automated ones are refused",
        guard="no `rds:DeleteDBSnapshot` for the role; a copy in a locked vault",
        basis="modelled",
        evidence=_DATABASES + "test_a_snapshot_restores_to_the_rows_that_were_there_when_it_was_taken",
    ),
    Destruction(
        operation="`DeleteDBInstanceAutomatedBackup`",
        verb="rds-delete-db-instance-automated-backup",
        undo="",
        takes_along="the retained automated snapshots of an instance that is gone",
        guard="no right to it; manual snapshots",
        basis="modelled",
        evidence=_DATABASES + "test_retained_automated_backups_can_be_deleted_by_a_call_of_their_own",
    ),
    Destruction(
        operation="`TerminateInstances`, then `DeleteVolume`",
        verb="ec2-delete-volume",
        undo="`RestoreVolumeFromRecycleBin`, where a rule covers the volume",
        takes_along="",
        guard="a locked rule of Recycle Bin; snapshots, which stay",
        basis="modelled",
        evidence=_VOLUMES + "test_what_a_rule_covers_waits_in_the_recycle_bin_and_comes_back",
    ),
    Destruction(
        operation="`DeleteSnapshot`",
        verb="ec2-delete-snapshot",
        undo="`RestoreSnapshotFromRecycleBin`, where a rule covers the snapshot",
        takes_along="it is the backup",
        guard="`LockSnapshot` in compliance mode; a locked rule of Recycle Bin",
        basis="modelled",
        evidence=_VOLUMES + "test_a_locked_snapshot_cannot_be_deleted_and_only_governance_can_be_unlocked",
    ),
    Destruction(
        operation="`UnlockSnapshot`",
        verb="ec2-unlock-snapshot",
        undo="locking it again",
        takes_along="the lock that kept the copy",
        guard="compliance mode, once its cooling-off is over",
        basis="modelled",
        evidence=_VOLUMES + "test_a_locked_snapshot_cannot_be_deleted_and_only_governance_can_be_unlocked",
    ),
    Destruction(
        operation="`DeleteRule` of Recycle Bin",
        verb="rbin-delete-rule",
        undo="making it again, for what is deleted after that",
        takes_along="the rule by which deleted copies were kept",
        guard="a locked rule, whose unlocking takes 7 days at least",
        basis="modelled",
        evidence=_VOLUMES + "test_a_locked_rule_stays_until_its_delay_is_over",
    ),
    Destruction(
        operation="`DeleteRecoveryPoint`",
        verb="backup-delete-recovery-point",
        undo="",
        takes_along="it is the backup",
        guard="Vault Lock in compliance mode; a vault in another account",
        basis="modelled",
        evidence=_VAULTS + "test_a_locked_vault_lets_nobody_delete_a_recovery_point_not_even_the_owner",
    ),
    Destruction(
        operation="`DeleteBackupVaultLockConfiguration`",
        verb="backup-delete-backup-vault-lock-configuration",
        undo="putting it on again",
        takes_along="the lock that kept copies",
        guard="compliance mode, once its cooling-off of 3 days at least is over",
        basis="modelled",
        evidence=_VAULTS + "test_a_lock_can_be_taken_off_within_its_cooling_off_and_in_governance_mode",
    ),
    Destruction(
        operation="`DeleteVpc`, `DeleteSubnet`",
        verb="ec2-delete-vpc",
        undo="making it again, under another id",
        takes_along="",
        guard="a deny by the tag of the environment; a subnet that is left in the network",
        basis="modelled",
        evidence=_REPLICA + "test_a_network_goes_when_nothing_lies_in_it_and_a_load_balancer_for_good",
    ),
    Destruction(
        operation="`DeleteService` with `force`, `UpdateService` with `desiredCount` 0",
        verb="ecs-delete-service",
        undo="raising `desiredCount` again, where that was lowered",
        takes_along="",
        guard="a deny by the tag of the environment",
        basis="modelled",
        evidence=_SEARCHES + "test_what_terraform_destroys_is_tried_on_real_records_and_brought_back",
    ),
    Destruction(
        operation="`DeleteCluster`",
        verb="ecs-delete-cluster",
        undo="making it again",
        takes_along="",
        guard="a deny by the tag of the environment",
        basis="modelled",
        evidence=_SEARCHES + "test_what_terraform_destroys_is_tried_on_real_records_and_brought_back",
    ),
    Destruction(
        operation="`DeleteLoadBalancer`",
        verb="elbv2-delete-load-balancer",
        undo="making it again, with another address",
        takes_along="",
        guard="a deny of `elasticloadbalancing:DeleteLoadBalancer`",
        basis="modelled",
        evidence=_REPLICA + "test_a_network_goes_when_nothing_lies_in_it_and_a_load_balancer_for_good",
    ),
    Destruction(
        operation="`PutUserPolicy`, `DeleteAccessKey`",
        verb="iam-put-user-policy",
        undo="the account's owner changes it back",
        takes_along="whatever the rights protected",
        guard="no `iam:*` for the role",
        basis="modelled",
        evidence=_REPLICA + "test_who_may_change_policies_can_give_himself_everything",
    ),
)
"""Amazon RDS API Reference and User Guide; IAM User Guide."""
