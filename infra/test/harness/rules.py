"""What must hold of every plan and state: rules over resources.

Comes in: resources of a plan or of a state. Goes out: a list of findings, each with the name of its
rule, the resource, and what is wrong. A rule must find by what a resource *is*, never by its name,
but for those few that are about a known part (the load balancer's 443, the calls between groups).
"""

import re

RULES = []

# Ways into a VPC, or around it, that nothing here may take.
PUBLIC_KINDS = {
    "aws_api_gateway_rest_api",
    "aws_apigatewayv2_api",
    "aws_cloudfront_distribution",
    "aws_globalaccelerator_accelerator",
    "aws_lambda_function_url",
    "aws_lightsail_instance",
    "aws_lightsail_container_service",
    "aws_apprunner_service",
    "aws_elb",
    "aws_eks_cluster",
    "aws_vpc_peering_connection",
    "aws_vpn_gateway",
    "aws_ec2_client_vpn_endpoint",
    "aws_vpc_endpoint_service",
}

# Calls that know no resource: the only ones that may name "*".
WITHOUT_RESOURCE = {
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ecr:GetAuthorizationToken",
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}

# Who may call whom, on which port: written here once more by hand, so that the table in
# modules/network cannot widen without somebody saying so twice.
CALLS = {
    ("alb", "gateway", 8080),
    ("gateway", "manager", 8081),
    ("node", "manager", 8081),
    ("scheduler", "manager", 8081),
    ("manager", "manager", 8081),
    ("manager", "node", 9190),
    ("manager", "etcd", 2379),
    ("node", "etcd", 2379),
    ("etcd", "etcd", 2380),
    ("manager", "store", 5432),
    ("node", "store", 5432),
    ("gateway", "store", 5432),
    ("collector", "manager", 9181),
    ("collector", "node", 9191),
    ("collector", "gateway", 9171),
    *((caller, "endpoints", 443) for caller in ("gateway", "manager", "node", "scheduler", "etcd", "collector")),
}

# What a condition may compare to hold a policy for everyone to somebody.
HOLDING = {"aws:sourceaccount", "aws:sourceowner", "aws:sourcearn", "aws:principalaccount", "aws:principalorgid"}

# Policies that narrow what others allow, and give no right by themselves; they have a rule of their own.
NARROWING = {"aws_vpc_endpoint"}

TAGS = ("Project", "Cluster", "ManagedBy")


def rule(function):
    """Adds a rule, named as its function is."""
    RULES.append(function)
    return function


def check(resources, only=None):
    """All findings."""
    found = []
    for one in RULES:
        if only is None or one.__name__ in only:
            found += [f"{one.__name__}: {finding}" for finding in one(resources)]
    return found


def of(resources, *kinds):
    """Resources of these kinds."""
    return [r for r in resources if r.kind in kinds]


def listed(value):
    """A value that may be one or a list, as a list."""
    return value if isinstance(value, list) else [value]


def is_world(cidr):
    """Whether a network is so wide that it means everyone."""
    return bool(cidr) and int(cidr.rsplit("/", 1)[1]) < 8


@rule
def the_load_balancers_443_is_the_only_way_in(resources):
    """An ingress rule names a group; a network only on 443 of the load balancer's group."""
    doors = {g for lb in of(resources, "aws_lb") for g in lb.get("security_groups", [])}
    for r in of(resources, "aws_vpc_security_group_ingress_rule"):
        networks = [r.get(n) for n in ("cidr_ipv4", "cidr_ipv6", "prefix_list_id") if r.get(n)]
        group = r.get("referenced_security_group_id") or r.is_unknown("referenced_security_group_id")
        if networks:
            of_door = r.get("security_group_id") in doors if r.get("security_group_id") else ".public[" in r.address
            if (r.get("from_port"), r.get("to_port")) != (443, 443) or not of_door:
                yield f"{r.address} lets {networks[0]} in on {r.get('from_port')} to {r.get('to_port')}"
        elif not group:
            yield f"{r.address} names no group"


@rule
def nothing_opens_all_ports(resources):
    """A rule is about one port of TCP."""
    for r in of(resources, "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"):
        if r.get("ip_protocol") != "tcp" or r.get("from_port") != r.get("to_port"):
            yield f"{r.address} is of {r.get('ip_protocol')} {r.get('from_port')} to {r.get('to_port')}"


@rule
def nothing_goes_out_to_everyone(resources):
    """An egress rule names a group, a list of AWS, or a network that is not the world."""
    for r in of(resources, "aws_vpc_security_group_egress_rule"):
        for name in ("cidr_ipv4", "cidr_ipv6"):
            if is_world(r.get(name)):
                yield f"{r.address} goes out to {r.get(name)}"


@rule
def rules_are_resources_of_their_own(resources):
    """No rule hides within a group, and the default group of a VPC has none."""
    for r in of(resources, "aws_security_group_rule"):
        yield f"{r.address} is of the older kind, which this check does not read"
    for r in of(resources, "aws_default_security_group"):
        if r.get("ingress") or r.get("egress"):
            yield f"{r.address}: the default group lets something through"


@rule
def every_rule_and_group_says_why(resources):
    """A description that is not the provider's own."""
    kinds = ("aws_security_group", "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule")
    for r in of(resources, *kinds):
        if r.get("description", "") in ("", "Managed by Terraform"):
            yield f"{r.address} has no description"


@rule
def nothing_has_a_public_address(resources):
    """No machine, task, database or subnet gives itself one; no kind of resource that is a door."""
    for r in resources:
        if r.kind in PUBLIC_KINDS:
            yield f"{r.address} is reachable from outside"
    for r in of(resources, "aws_subnet"):
        if r.get("map_public_ip_on_launch"):
            yield f"{r.address} gives public addresses"
    for r in of(resources, "aws_instance"):
        if r.get("associate_public_ip_address") or r.get("public_ip"):
            yield f"{r.address} has a public address"
    for r in of(resources, "aws_db_instance", "aws_rds_cluster_instance"):
        if r.get("publicly_accessible"):
            yield f"{r.address} is publicly accessible"
    for r in of(resources, "aws_ecs_service"):
        network = r.block("network_configuration")
        if network.get("assign_public_ip") or not (network.get("subnets") or r.unknown.get("network_configuration")):
            yield f"{r.address} has public addresses or no subnets of its own"
    for r in of(resources, "aws_eip"):
        if ".nat" not in r.address:
            yield f"{r.address} is an address for something other than a NAT gateway"
    doors = [r for r in of(resources, "aws_lb") if not r.get("internal")]
    for r in doors[1:]:
        yield f"{r.address} is a second load balancer to the internet"


@rule
def buckets_are_closed(resources):
    """Each bucket blocks public access in all four ways."""
    closed = of(resources, "aws_s3_bucket_public_access_block")
    for r in closed:
        for name in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"):
            if r.get(name) is not True:
                yield f"{r.address}: {name} is off"
    if len(closed) < len(of(resources, "aws_s3_bucket")):
        yield "a bucket has no block of public access"


@rule
def no_wildcard_action_on_a_wildcard_resource(resources):
    """What is allowed is named: no action of `*`, and no `*` for a resource but where a call knows none."""
    for r in resources:
        if r.kind in NARROWING:
            continue
        for name, document in r.policies():
            for statement in listed(document["Statement"]):
                if statement.get("Effect") != "Allow":
                    continue
                if "NotAction" in statement or "NotResource" in statement:
                    yield f"{r.address}: {name} allows by exception"
                actions = listed(statement.get("Action", []))
                for action in actions:
                    if action == "*" or "*" in action.split(":")[0] or action.split(":")[-1] == "*":
                        yield f"{r.address}: {name} allows {action}"
                    elif "*" in action:
                        yield f"{r.address}: {name} allows {action}, which is more than one action"
                # In the policy of a key, "*" is that key.
                if "*" in listed(statement.get("Resource", [])) and r.kind != "aws_kms_key":
                    for action in actions:
                        if action not in WITHOUT_RESOURCE:
                            yield f"{r.address}: {name} allows {action} on every resource"


def _holds(condition):
    """Whether a condition compares an account or a source with something other than everyone."""
    for operator, keys in condition.items():
        for key, value in keys.items():
            if operator in ("StringEquals", "ArnEquals", "ArnLike") and key.lower() in HOLDING and "*" not in listed(value):
                return True
    return False


@rule
def nobody_is_trusted_without_a_condition(resources):
    """No policy allows everyone, unless a condition holds it to an account or a source."""
    for r in resources:
        if r.kind in NARROWING:
            continue
        for name, document in r.policies():
            for statement in listed(document["Statement"]):
                principal = statement.get("Principal")
                if statement.get("Effect") != "Allow" or principal is None:
                    continue
                named = listed(principal.get("AWS", [])) if isinstance(principal, dict) else [principal]
                if "*" in named and not _holds(statement.get("Condition") or {}):
                    yield f"{r.address}: {name} allows everyone"
    for r in of(resources, "aws_lambda_permission"):
        if r.get("principal") == "*":
            yield f"{r.address} lets everyone call the function"


@rule
def endpoints_are_for_this_account(resources):
    """What goes through an endpoint is of this account's identities, or reads one bucket of AWS."""
    for r in of(resources, "aws_vpc_endpoint"):
        if not r.get("policy"):
            if not r.is_unknown("policy"):
                yield f"{r.address} lets every identity through"
            continue
        for _, document in r.policies():
            for statement in listed(document["Statement"]):
                own = (statement.get("Condition") or {}).get("StringEquals", {}).get("aws:PrincipalAccount")
                layers = statement.get("Action") == "s3:GetObject" and "*" not in listed(statement.get("Resource"))
                if statement.get("Effect") == "Allow" and not own and not layers:
                    yield f"{r.address} lets every identity through"


@rule
def policies_are_written_here(resources):
    """Policies of AWS allow more than is used, and change by themselves."""
    for r in of(resources, "aws_iam_role_policy_attachment", "aws_iam_policy_attachment"):
        if ":aws:policy/" in str(r.get("policy_arn")):
            yield f"{r.address} attaches {r.get('policy_arn')}"
    for r in of(resources, "aws_iam_user", "aws_iam_access_key", "aws_iam_login_profile"):
        yield f"{r.address} is a credential that does not end"


SECRET_NAME = re.compile(r"(?i)(^|_)(password|passwd|secret_string|secret_binary|private_key|auth_token|master_password)$")
SECRET_ENVIRONMENT = re.compile(r"(?i)(password|passwd|secret|token|private_?key|access_key)")
REFERENCE = re.compile(r"^(arn:|env:|file:|$)")


def _leaves(value, name=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, name)
    else:
        yield name, value


@rule
def no_secret_is_in_the_state(resources):
    """Secrets are references: their values never pass through Terraform."""
    for r in of(resources, "aws_secretsmanager_secret_version", "aws_ssm_parameter", "tls_private_key", "random_password"):
        if r.kind != "aws_ssm_parameter" or r.get("type") == "SecureString":
            yield f"{r.address} keeps a secret in the state"
    for r in of(resources, "aws_db_instance"):
        if r.get("manage_master_user_password") is not True:
            yield f"{r.address}: the password is not made by RDS"
    for r in resources:
        for name, value in _leaves(r.values):
            if isinstance(value, str) and value:
                if SECRET_NAME.search(name) and not REFERENCE.match(value):
                    yield f"{r.address}: {name} has a value"
                if "PRIVATE KEY-----" in value or re.search(r"\bAKIA[0-9A-Z]{16}\b", value):
                    yield f"{r.address}: {name} holds a key"
                if re.search(r"://[^/@\s:]+:[^/@\s]+@", value):
                    yield f"{r.address}: {name} is an address with a password"
    yield from _environments(resources)


def _environments(resources):
    import json

    for r in of(resources, "aws_ecs_task_definition"):
        text = r.get("container_definitions")
        for container in json.loads(text) if text else []:
            for entry in container.get("environment", []):
                if SECRET_ENVIRONMENT.search(entry["name"]) and not REFERENCE.match(entry.get("value", "")):
                    yield f"{r.address}: {entry['name']} is a value, not a reference"
    for r in of(resources, "aws_lambda_function"):
        for name, value in (r.block("environment").get("variables") or {}).items():
            if SECRET_ENVIRONMENT.search(name) and not REFERENCE.match(value or ""):
                yield f"{r.address}: {name} is a value, not a reference"


@rule
def what_is_kept_is_encrypted(resources):
    """Tables, database, volumes, logs, queues, topics, images and buckets."""
    wants = {
        "aws_dynamodb_table": lambda r: r.block("server_side_encryption").get("enabled"),
        "aws_db_instance": lambda r: r.get("storage_encrypted"),
        "aws_ebs_volume": lambda r: r.get("encrypted"),
        "aws_instance": lambda r: r.block("root_block_device").get("encrypted"),
        "aws_ecr_repository": lambda r: r.block("encryption_configuration").get("encryption_type") == "KMS",
        "aws_sqs_queue": lambda r: r.get("sqs_managed_sse_enabled") or r.get("kms_master_key_id") or r.is_unknown("kms_master_key_id"),
    }
    for r in resources:
        if r.kind in wants and not wants[r.kind](r):
            yield f"{r.address} is not encrypted"
    if len(of(resources, "aws_s3_bucket_server_side_encryption_configuration")) < len(of(resources, "aws_s3_bucket")):
        yield "a bucket has no encryption of its own"


@rule
def tables_can_be_restored(resources):
    """Point-in-time recovery."""
    for r in of(resources, "aws_dynamodb_table"):
        if not r.block("point_in_time_recovery").get("enabled"):
            yield f"{r.address} cannot be restored to a point in time"


@rule
def logs_have_an_end(resources):
    """Retention of every log group."""
    for r in of(resources, "aws_cloudwatch_log_group"):
        if not r.get("retention_in_days"):
            yield f"{r.address} keeps its log for ever"


@rule
def machines_do_not_lend_their_identity(resources):
    """IMDSv2 with a hop limit of 1."""
    for r in of(resources, "aws_instance", "aws_launch_template"):
        options = r.block("metadata_options")
        if options.get("http_tokens") != "required" or options.get("http_put_response_hop_limit") != 1:
            yield f"{r.address}: the metadata service is open to what runs on the machine"


@rule
def containers_are_not_root_and_do_not_write(resources):
    """A numeric user, a read-only root, no new rights; a drain that fits Fargate's limit."""
    import json

    for r in of(resources, "aws_ecs_task_definition"):
        text = r.get("container_definitions")
        for container in json.loads(text) if text else []:
            if container.get("user", "").split(":")[0] in ("", "0", "root"):
                yield f"{r.address}: {container['name']} runs as root"
            if container.get("readonlyRootFilesystem") is not True or container.get("privileged"):
                yield f"{r.address}: {container['name']} writes to its root"
            if container["image"].endswith(":latest") or not re.search(r"[:@][^/]+$", container["image"]):
                yield f"{r.address}: {container['name']} runs an image that moves"
            grace = {e["name"]: e["value"] for e in container.get("environment", [])}.get("ASSAY_DRAIN_GRACE_S")
            if grace and int(grace) + 5 > container.get("stopTimeout", 30):
                yield f"{r.address}: killed {container.get('stopTimeout')} s after SIGTERM, with {grace} s to drain"


@rule
def images_are_scanned_and_tags_do_not_move(resources):
    """ECR."""
    for r in of(resources, "aws_ecr_repository"):
        if not r.block("image_scanning_configuration").get("scan_on_push"):
            yield f"{r.address} does not scan what is pushed"
        if r.get("image_tag_mutability") != "IMMUTABLE":
            yield f"{r.address}: tags may move"
    if len(of(resources, "aws_ecr_lifecycle_policy")) < len(of(resources, "aws_ecr_repository")):
        yield "a repository keeps images for ever"


@rule
def the_load_balancer_speaks_tls_and_spreads_by_load(resources):
    """The algorithm, the health check, the TLS policy."""
    for r in of(resources, "aws_lb_target_group"):
        if r.get("load_balancing_algorithm_type") != "least_outstanding_requests":
            yield f"{r.address}: {r.get('load_balancing_algorithm_type')}"
        if not r.block("health_check").get("enabled"):
            yield f"{r.address} has no health check"
    for r in of(resources, "aws_lb_listener"):
        if r.get("protocol") != "HTTPS" or r.get("port") != 443:
            yield f"{r.address} listens for {r.get('protocol')} on {r.get('port')}"
        if not re.match(r"^ELBSecurityPolicy-TLS13-1-[23]-", r.get("ssl_policy", "")) or "-Ext" in r.get("ssl_policy", ""):
            yield f"{r.address}: {r.get('ssl_policy')} allows what is older than TLS 1.2"
    for r in of(resources, "aws_lb"):
        if not r.get("drop_invalid_header_fields"):
            yield f"{r.address} passes invalid headers on"


@rule
def everything_is_tagged(resources):
    """What has tags has the cluster's."""
    for r in resources:
        if "tags_all" in r.values:
            missing = [t for t in TAGS if t not in (r.get("tags_all") or {})]
            if missing:
                yield f"{r.address} lacks the tags {', '.join(missing)}"


@rule
def a_dead_letter_queue_takes_what_is_missed(resources):
    """The schedule has tries, their end, and a place for what failed."""
    for r in of(resources, "aws_scheduler_schedule"):
        target = r.block("target")
        unknown = listed(r.unknown.get("target") or [{}])[0]
        queue = (target.get("dead_letter_config") or [{}])[0].get("arn")
        if not queue and not (isinstance(unknown, dict) and unknown.get("dead_letter_config")):
            yield f"{r.address} has no dead-letter queue"
        tries = (target.get("retry_policy") or [{}])[0]
        if tries.get("maximum_event_age_in_seconds") is None or tries.get("maximum_retry_attempts") is None:
            yield f"{r.address} has no bound of its tries"
