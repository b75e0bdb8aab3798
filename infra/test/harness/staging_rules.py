"""What must hold of the staging root beyond the rules: copies, zones, protection, and exactly the
calls between groups that are meant.

Comes in: resources. Goes out: findings, as of `rules`.
"""

from .rules import CALLS, of


def protected(resources):
    """Of the plan as it is meant to be: copies in three zones, and nothing that is easily deleted."""
    found = []

    def want(condition, what):
        if not condition:
            found.append(f"staging: {what}")

    for r in of(resources, "aws_db_instance"):
        want(r.get("multi_az") is True, f"{r.address} has no copy in another zone")
        want(r.get("iam_database_authentication_enabled") is True, f"{r.address} knows no logins of IAM")
        want(r.get("deletion_protection") is True, f"{r.address} may be deleted")
        want(r.get("skip_final_snapshot") is False, f"{r.address} goes without a last snapshot")
        want(r.get("backup_retention_period", 0) >= 7, f"{r.address} has too few backups")
    for r in of(resources, "aws_dynamodb_table"):
        want(r.get("deletion_protection_enabled") is True, f"{r.address} may be deleted")
    for r in of(resources, "aws_lb"):
        want(r.get("enable_deletion_protection") is True, f"{r.address} may be deleted")
    for r in of(resources, "aws_s3_bucket"):
        want(not r.get("force_destroy"), f"{r.address} goes with what it holds")
    for r in of(resources, "aws_ecr_repository"):
        want(not r.get("force_delete"), f"{r.address} goes with its images")
    for r in of(resources, "aws_secretsmanager_secret"):
        want(r.get("recovery_window_in_days", 0) >= 7, f"{r.address} cannot be recovered")
    for r in of(resources, "aws_ebs_volume"):
        want(r.get("final_snapshot") is True, f"{r.address} goes without a snapshot")
    for r in of(resources, "aws_kms_key"):
        want(r.get("enable_key_rotation") is True, f"{r.address} does not rotate")
    want(len(of(resources, "aws_db_instance")) == 1, "there is no database")
    want(len({r.get("availability_zone") for r in of(resources, "aws_ebs_volume")}) == 3, "etcd is not in three zones")
    want(len(of(resources, "aws_instance")) == 3, "etcd has not three members")
    zones = {r.get("availability_zone") for r in of(resources, "aws_subnet")}
    want(len(zones) == 3 and len(of(resources, "aws_subnet")) == 6, "the subnets are not two in each of three zones")
    for r in of(resources, "aws_ecs_service"):
        least = {"manager": 2, "gateway": 2, "datanode": 2}.get(r.get("name"), 1)
        want(r.get("desired_count", 0) >= least, f"{r.address} has fewer than {least} tasks")
    want(len(of(resources, "aws_budgets_budget")) == 1, "there is no budget")
    want(len(of(resources, "aws_prometheus_alert_manager_definition")) == 1, "alerts of Prometheus tell nobody")
    return found


def calls(resources):
    """Of a state: each port is open to exactly the group that calls it, on both sides."""
    names = {r.get("id"): r.get("name").rsplit("-", 1)[-1] for r in of(resources, "aws_security_group")}
    into, out = set(), set()
    for r in of(resources, "aws_vpc_security_group_ingress_rule"):
        if r.get("referenced_security_group_id"):
            into.add((names[r.get("referenced_security_group_id")], names[r.get("security_group_id")], r.get("from_port")))
    for r in of(resources, "aws_vpc_security_group_egress_rule"):
        if r.get("referenced_security_group_id"):
            out.add((names[r.get("security_group_id")], names[r.get("referenced_security_group_id")], r.get("from_port")))
    found = []
    for what, seen in (("lets in", into), ("goes out", out)):
        found += [f"calls: {a} to {b} on {port} {what}, and is not meant" for a, b, port in sorted(seen - CALLS)]
        found += [f"calls: {a} to {b} on {port} does not {what}, and is meant" for a, b, port in sorted(CALLS - seen)]
    return found
