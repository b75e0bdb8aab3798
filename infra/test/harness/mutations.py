"""The rules are rules only if they find something: deliberate corruptions of what was applied.

Comes in: a plan and a state that pass. Goes out: corruptions that no rule, or another rule than the
one that is meant, noticed.
"""

import copy
import json

from . import documents, rules, staging_rules


def first(resources, kind, name=""):
    """The first resource of a kind whose address holds `name`."""
    return next(r for r in resources if r.kind == kind and name in r.address)


def _allow(resource, **changes):
    """Changes the first statement of a role's policy."""
    document = json.loads(resource.values["policy"])
    document["Statement"][0].update(changes)
    resource.values["policy"] = json.dumps(document)


def _container(resource, **changes):
    text = json.loads(resource.values["container_definitions"])
    text[0].update(changes)
    resource.values["container_definitions"] = json.dumps(text)


def _environment(resource, name, value):
    text = json.loads(resource.values["container_definitions"])
    text[0]["environment"].append({"name": name, "value": value})
    resource.values["container_definitions"] = json.dumps(text)


def _ingress(rs, name="manager-store"):
    return first(rs, "aws_vpc_security_group_ingress_rule", name).values


def _world(rs):
    _ingress(rs).update(cidr_ipv4="0.0.0.0/0", referenced_security_group_id=None)


def _half_world(rs):
    _ingress(rs).update(cidr_ipv4="128.0.0.0/1", referenced_security_group_id=None)


def _world_6(rs):
    _ingress(rs).update(cidr_ipv6="::/0", referenced_security_group_id=None)


def _ssh(rs):
    values = first(rs, "aws_vpc_security_group_ingress_rule", ".public[").values
    values.update(from_port=22, to_port=22)


def _door_of_another(rs):
    other = _ingress(rs)["security_group_id"]
    first(rs, "aws_vpc_security_group_ingress_rule", ".public[").values.update(security_group_id=other)


def _add(kind, **values):
    return lambda rs: rs.append(documents.Resource(f"{kind}.added", kind, values, {}))


def _set(kind, name="", **changes):
    return lambda rs: first(rs, kind, name).values.update(changes)


def _block(kind, block, **changes):
    return lambda rs: first(rs, kind).values[block][0].update(changes)


# What is done, and the rule that has to notice it.
MUTATIONS = [
    ("Postgres open to the world", "the_load_balancers_443_is_the_only_way_in", _world),
    ("Postgres open to half of the world", "the_load_balancers_443_is_the_only_way_in", _half_world),
    ("Postgres open to the world by IPv6", "the_load_balancers_443_is_the_only_way_in", _world_6),
    ("SSH on the load balancer", "the_load_balancers_443_is_the_only_way_in", _ssh),
    ("443 of a group that is not the load balancer's", "the_load_balancers_443_is_the_only_way_in", _door_of_another),
    ("a rule without a group", "the_load_balancers_443_is_the_only_way_in", lambda rs: _ingress(rs).update(referenced_security_group_id=None)),
    ("all ports", "nothing_opens_all_ports", lambda rs: _ingress(rs).update(from_port=0, to_port=65535)),
    ("all protocols", "nothing_opens_all_ports", lambda rs: _ingress(rs).update(ip_protocol="-1")),
    ("egress to the world", "nothing_goes_out_to_everyone", _set("aws_vpc_security_group_egress_rule", cidr_ipv4="0.0.0.0/0")),
    ("a rule of the older kind", "rules_are_resources_of_their_own", _add("aws_security_group_rule", tags_all=None)),
    ("the default group lets in", "rules_are_resources_of_their_own", _set("aws_default_security_group", ingress=[{"from_port": 0}])),
    ("a rule without a description", "every_rule_and_group_says_why", lambda rs: _ingress(rs).update(description="")),
    ("a public database", "nothing_has_a_public_address", _set("aws_db_instance", publicly_accessible=True)),
    ("a public subnet address", "nothing_has_a_public_address", _set("aws_subnet", "private", map_public_ip_on_launch=True)),
    ("a task with a public address", "nothing_has_a_public_address", _block("aws_ecs_service", "network_configuration", assign_public_ip=True)),
    ("a function URL", "nothing_has_a_public_address", _add("aws_lambda_function_url")),
    ("a second load balancer", "nothing_has_a_public_address", _add("aws_lb", internal=False)),
    ("an address for a machine", "nothing_has_a_public_address", _add("aws_eip")),
    ("a bucket that may be public", "buckets_are_closed", _set("aws_s3_bucket_public_access_block", block_public_policy=False)),
    ("a bucket without its block", "buckets_are_closed", _add("aws_s3_bucket")),
    ("every action", "no_wildcard_action_on_a_wildcard_resource", lambda rs: _allow(first(rs, "aws_iam_role_policy"), Action="*", Resource="*")),
    ("every action of a service", "no_wildcard_action_on_a_wildcard_resource", lambda rs: _allow(first(rs, "aws_iam_role_policy"), Action=["s3:*"])),
    ("reading everything", "no_wildcard_action_on_a_wildcard_resource", lambda rs: _allow(first(rs, "aws_iam_role_policy"), Action=["s3:GetObject"], Resource=["*"])),
    ("all but one action", "no_wildcard_action_on_a_wildcard_resource", lambda rs: _allow(first(rs, "aws_iam_role_policy"), NotAction=["iam:*"])),
    ("a key for every action", "no_wildcard_action_on_a_wildcard_resource", lambda rs: _allow(first(rs, "aws_kms_key"), Action="kms:*")),
    ("a topic for everyone", "nobody_is_trusted_without_a_condition", lambda rs: _allow(first(rs, "aws_sns_topic_policy"), Principal="*", Condition={})),
    ("a topic for every account", "nobody_is_trusted_without_a_condition", lambda rs: _allow(first(rs, "aws_sns_topic_policy"), Principal="*", Condition={"StringLike": {"aws:SourceAccount": "*"}})),
    ("an endpoint for everyone", "endpoints_are_for_this_account", lambda rs: _allow(first(rs, "aws_vpc_endpoint"), Condition={})),
    ("an endpoint without a policy", "endpoints_are_for_this_account", _set("aws_vpc_endpoint", policy=None)),
    ("a policy of AWS", "policies_are_written_here", _add("aws_iam_role_policy_attachment", policy_arn="arn:aws:iam::aws:policy/AdministratorAccess")),
    ("an access key", "policies_are_written_here", _add("aws_iam_access_key")),
    ("a password in the state", "no_secret_is_in_the_state", _set("aws_db_instance", password="correct horse")),
    ("a password of the database's own", "no_secret_is_in_the_state", _set("aws_db_instance", manage_master_user_password=None)),
    ("a secret with its value", "no_secret_is_in_the_state", _add("aws_secretsmanager_secret_version")),
    ("a key in user data", "no_secret_is_in_the_state", _set("aws_instance", user_data="-----BEGIN PRIVATE KEY-----\nMII")),
    ("a token in a container", "no_secret_is_in_the_state", lambda rs: _environment(first(rs, "aws_ecs_task_definition"), "API_TOKEN", "abc")),
    ("an address with a password", "no_secret_is_in_the_state", lambda rs: _environment(first(rs, "aws_ecs_task_definition"), "STORE", "postgres://a:b@h/d")),
    ("a table in the clear", "what_is_kept_is_encrypted", _block("aws_dynamodb_table", "server_side_encryption", enabled=False)),
    ("a database in the clear", "what_is_kept_is_encrypted", _set("aws_db_instance", storage_encrypted=False)),
    ("a volume in the clear", "what_is_kept_is_encrypted", _set("aws_ebs_volume", encrypted=False)),
    ("a table that cannot be restored", "tables_can_be_restored", _block("aws_dynamodb_table", "point_in_time_recovery", enabled=False)),
    ("a log for ever", "logs_have_an_end", _set("aws_cloudwatch_log_group", retention_in_days=0)),
    ("the older metadata service", "machines_do_not_lend_their_identity", _block("aws_instance", "metadata_options", http_tokens="optional")),
    ("metadata for containers", "machines_do_not_lend_their_identity", _block("aws_instance", "metadata_options", http_put_response_hop_limit=2)),
    ("root in a container", "containers_are_not_root_and_do_not_write", lambda rs: _container(first(rs, "aws_ecs_task_definition"), user="0")),
    ("a root that is written to", "containers_are_not_root_and_do_not_write", lambda rs: _container(first(rs, "aws_ecs_task_definition"), readonlyRootFilesystem=False)),
    ("a tag that moves", "containers_are_not_root_and_do_not_write", lambda rs: _container(first(rs, "aws_ecs_task_definition"), image="r/x:latest")),
    ("killed while it drains", "containers_are_not_root_and_do_not_write", lambda rs: _container(first(rs, "aws_ecs_task_definition", "node"), stopTimeout=60)),
    ("images that are not scanned", "images_are_scanned_and_tags_do_not_move", _block("aws_ecr_repository", "image_scanning_configuration", scan_on_push=False)),
    ("tags that move", "images_are_scanned_and_tags_do_not_move", _set("aws_ecr_repository", image_tag_mutability="MUTABLE")),
    ("another algorithm", "the_load_balancer_speaks_tls_and_spreads_by_load", _set("aws_lb_target_group", load_balancing_algorithm_type="round_robin")),
    ("TLS 1.0", "the_load_balancer_speaks_tls_and_spreads_by_load", _set("aws_lb_listener", ssl_policy="ELBSecurityPolicy-2016-08")),
    ("HTTP", "the_load_balancer_speaks_tls_and_spreads_by_load", _set("aws_lb_listener", protocol="HTTP", port=80)),
    ("a resource without tags", "everything_is_tagged", _set("aws_db_instance", tags_all={})),
    ("no dead-letter queue", "a_dead_letter_queue_takes_what_is_missed", _block("aws_scheduler_schedule", "target", dead_letter_config=[])),
]

# Of the plan as it is meant to be.
UNPROTECTED = [
    ("one zone", _set("aws_db_instance", multi_az=False)),
    ("no logins of IAM", _set("aws_db_instance", iam_database_authentication_enabled=False)),
    ("a database that may be deleted", _set("aws_db_instance", deletion_protection=False)),
    ("a table that may be deleted", _set("aws_dynamodb_table", deletion_protection_enabled=False)),
    ("a load balancer that may be deleted", _set("aws_lb", enable_deletion_protection=False)),
    ("two members of etcd in a zone", lambda rs: [r.values.update(availability_zone="eu-central-1a") for r in rs if r.kind == "aws_ebs_volume"]),
    ("one manager", _set("aws_ecs_service", "manager", desired_count=1)),
    ("a key that does not rotate", _set("aws_kms_key", enable_key_rotation=False)),
]


def _call_widened(rs):
    values = _ingress(rs, "node-store")
    values["referenced_security_group_id"] = first(rs, "aws_security_group", '"collector"').values["id"]


def _call_of_another_port(rs):
    _ingress(rs, "node-store").update(from_port=8081, to_port=8081)


# Of the state, where groups have ids.
WIDENED = [("the collector reaches Postgres", _call_widened), ("nodes reach another port of Postgres's group", _call_of_another_port)]


def unnoticed(plan, state):
    """Corruptions that were not noticed."""
    applied = documents.of_state(state)
    for what, rule, change in MUTATIONS:
        bad = copy.deepcopy(applied)
        change(bad)
        if not rules.check(bad, {rule}):
            yield f"{what} is not noticed by {rule}"
    for what, change in UNPROTECTED:
        bad = documents.of_plan(copy.deepcopy(plan))
        change(bad)
        if not staging_rules.protected(bad):
            yield f"{what} is not noticed"
    for what, change in WIDENED:
        bad = copy.deepcopy(applied)
        change(bad)
        if not staging_rules.calls(bad):
            yield f"{what} is not noticed"
    used = {rule for _, rule, _ in MUTATIONS}
    for rule in rules.RULES:
        if rule.__name__ not in used:
            yield f"no corruption is meant for {rule.__name__}"


def small():
    """Without terraform: a plan in which Postgres is open to the world, and one in which it is not."""

    def plan(values):
        change = {"actions": ["create"], "after": values, "after_unknown": {"id": True}}
        kind = "aws_vpc_security_group_ingress_rule"
        entry = {"address": f"{kind}.db", "mode": "managed", "type": kind, "name": "db", "change": change}
        return documents.of({"resource_changes": [entry]})

    good = {"referenced_security_group_id": "sg-1", "from_port": 5432, "to_port": 5432, "ip_protocol": "tcp", "description": "from manager"}
    for finding in rules.check(plan(good)):
        yield f"a good plan is refused: {finding}"
    bad = {**good, "referenced_security_group_id": None, "cidr_ipv4": "0.0.0.0/0"}
    if not any("0.0.0.0/0 in on 5432" in finding for finding in rules.check(plan(bad))):
        yield "a plan with Postgres open to the world passes"
