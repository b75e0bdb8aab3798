# The root, planned with a provider that is a stand-in: what has to hold without any server.
#   terraform init && terraform test

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c", "eu-central-1d"] }
  }
  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-0123456789abcdef0" }
  }
  mock_data "aws_ec2_managed_prefix_list" {
    defaults = { id = "pl-0123456789abcdef0" }
  }
}

variables {
  image_tag       = "1.0.0"
  lambda_zip      = "./tests/empty.zip"
  certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/0123"
  etcd            = { sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
}

run "the_root_plans_as_it_is_meant_to_be" {
  command = plan

  assert {
    condition     = output.managers == "https://manager.assay-staging.internal:8081"
    error_message = "managers have one name"
  }

  assert {
    condition     = output.etcd_hosts == { a = "etcd-a.assay-staging.internal", b = "etcd-b.assay-staging.internal", c = "etcd-c.assay-staging.internal" }
    error_message = "members of etcd have names that outlive their machines"
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "the key rotates"
  }
}

run "only_443_of_the_load_balancer_is_open_to_networks" {
  command = plan

  module {
    source = "../modules/network"
  }

  variables {
    name = "assay-test"
  }

  assert {
    condition = alltrue([
      for r in aws_vpc_security_group_ingress_rule.public :
      r.from_port == 443 && r.to_port == 443 && r.ip_protocol == "tcp" && length(r.description) > 0
    ])
    error_message = "the rule for networks is about 443"
  }

  assert {
    condition     = alltrue([for r in aws_vpc_security_group_ingress_rule.call : r.cidr_ipv4 == null && r.cidr_ipv6 == null && r.prefix_list_id == null])
    error_message = "every other way in names a group"
  }

  assert {
    condition     = alltrue([for r in aws_vpc_security_group_egress_rule.call : r.cidr_ipv4 == null && r.cidr_ipv6 == null])
    error_message = "every way out names a group"
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.call) == length(aws_vpc_security_group_egress_rule.call)
    error_message = "who is let in is let out"
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.extra) == 0
    error_message = "nothing goes out beyond the table"
  }

  assert {
    condition     = toset([for s in aws_subnet.private : s.availability_zone]) == toset(["eu-central-1a", "eu-central-1b", "eu-central-1c"]) && alltrue([for s in aws_subnet.public : !s.map_public_ip_on_launch])
    error_message = "three zones, and no subnet that gives public addresses"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_vpc_endpoint.interface) == 7 && length(aws_vpc_endpoint.gateway) == 2
    error_message = "AWS is reached by endpoints, not by the internet"
  }
}

run "zones_have_their_own_way_out_when_asked_for" {
  command = plan

  module {
    source = "../modules/network"
  }

  variables {
    name = "assay-test"
    nat  = "each"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(aws_route.nat) == 3
    error_message = "a NAT gateway per zone"
  }
}

run "a_vpc_that_is_there_is_left_alone" {
  command = plan

  module {
    source = "../modules/network"
  }

  variables {
    name = "assay-test"
    existing_vpc = {
      vpc_id             = "vpc-1"
      private_subnet_ids = ["subnet-1", "subnet-2", "subnet-3"]
      public_subnet_ids  = ["subnet-4", "subnet-5", "subnet-6"]
    }
  }

  assert {
    condition     = length(aws_vpc.this) + length(aws_subnet.private) + length(aws_route_table.private) + length(aws_internet_gateway.this) + length(aws_vpc_endpoint.interface) == 0
    error_message = "nothing of a VPC is made"
  }

  assert {
    condition     = alltrue([for g in aws_security_group.this : g.vpc_id == "vpc-1"])
    error_message = "the groups lie in that VPC"
  }
}

run "the_registry_is_encrypted_protected_and_can_be_restored" {
  command = plan

  module {
    source = "../modules/registry"
  }

  variables {
    table_name = "datasets"
  }

  assert {
    condition = alltrue([
      for t in [aws_dynamodb_table.definitions, aws_dynamodb_table.versions] :
      t.server_side_encryption[0].enabled && t.point_in_time_recovery[0].enabled && t.deletion_protection_enabled && t.billing_mode == "PAY_PER_REQUEST"
    ])
    error_message = "both tables"
  }

  assert {
    condition     = aws_dynamodb_table.versions.name == "datasets-versions" && aws_dynamodb_table.versions.range_key == "revision"
    error_message = "the table of versions"
  }

  assert {
    condition = [for i in aws_dynamodb_table.definitions.global_secondary_index : [i.name, i.hash_key, i.range_key, i.projection_type]] == [
      ["due", "due_shard", "due_at", "KEYS_ONLY"]
    ]
    error_message = "the index of what is due"
  }
}

run "the_schedule_has_tries_an_end_and_a_queue" {
  command = plan

  module {
    source = "../modules/scheduler"
  }

  variables {
    name            = "assay-test"
    lambda_zip      = "./tests/empty.zip"
    architecture    = "arm64"
    table_name      = "datasets"
    registry_policy = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
    managers        = "https://manager.internal:8081"
  }

  assert {
    condition     = aws_scheduler_schedule.tick.target[0].retry_policy[0].maximum_retry_attempts == 3 && aws_scheduler_schedule.tick.target[0].retry_policy[0].maximum_event_age_in_seconds == 300
    error_message = "tries of the schedule"
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.tick.target[0].input) == { kind = "tick" }
    error_message = "what the function is told"
  }

  assert {
    condition     = aws_lambda_function.scheduler.architectures == tolist(["arm64"]) && aws_lambda_function.scheduler.runtime == "provided.al2023"
    error_message = "architecture and runtime"
  }

  assert {
    condition     = aws_sqs_queue.missed.sqs_managed_sse_enabled
    error_message = "the queue is encrypted"
  }
}

run "the_store_has_a_copy_ends_what_waits_and_is_protected" {
  command = plan

  module {
    source = "../modules/store"
  }

  variables {
    name              = "assay-test"
    subnet_ids        = ["subnet-1", "subnet-2", "subnet-3"]
    security_group_id = "sg-1"
  }

  assert {
    condition     = aws_db_instance.this.multi_az && aws_db_instance.this.storage_encrypted && aws_db_instance.this.iam_database_authentication_enabled && aws_db_instance.this.deletion_protection && !aws_db_instance.this.skip_final_snapshot && !aws_db_instance.this.publicly_accessible
    error_message = "copy, encryption, logins of IAM, protection"
  }

  assert {
    condition     = aws_db_instance.this.manage_master_user_password && aws_db_instance.this.password == null && aws_db_instance.this.backup_retention_period == 14
    error_message = "no password passes through here, and there are backups"
  }

  assert {
    condition = { for p in aws_db_parameter_group.this.parameter : p.name => p.value if strcontains(p.name, "timeout") || p.name == "client_connection_check_interval" } == {
      statement_timeout                   = "10000"
      lock_timeout                        = "2000"
      idle_in_transaction_session_timeout = "3000"
      tcp_user_timeout                    = "5000"
      client_connection_check_interval    = "2000"
    }
    error_message = "the time-outs"
  }

  assert {
    condition     = contains([for p in aws_db_parameter_group.this.parameter : "${p.name}=${p.value}"], "rds.force_ssl=1")
    error_message = "no connection without TLS"
  }
}

run "etcd_has_three_members_whose_data_outlives_their_machines" {
  command = plan

  module {
    source = "../modules/coordination"
  }

  variables {
    name                  = "assay-test"
    members               = [{ id = "subnet-1", availability_zone = "a" }, { id = "subnet-2", availability_zone = "b" }, { id = "subnet-3", availability_zone = "c" }]
    vpc_security_group_id = "sg-1"
    namespace             = { id = "ns-1", name = "assay-test.internal" }
    etcd_sha256           = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  assert {
    condition     = toset([for v in aws_ebs_volume.member : v.availability_zone]) == toset(["a", "b", "c"]) && alltrue([for v in aws_ebs_volume.member : v.encrypted && v.final_snapshot])
    error_message = "a volume of its own in each zone"
  }

  assert {
    condition     = alltrue([for i in aws_instance.member : i.metadata_options[0].http_tokens == "required" && i.metadata_options[0].http_put_response_hop_limit == 1 && i.root_block_device[0].encrypted])
    error_message = "IMDSv2 with one hop"
  }

  assert {
    condition     = output.endpoints == ["https://etcd-a.assay-test.internal:2379", "https://etcd-b.assay-test.internal:2379", "https://etcd-c.assay-test.internal:2379"]
    error_message = "TLS only"
  }

  assert {
    condition     = alltrue([for c in output.configuration : yamldecode(c)["client-transport-security"]["client-cert-auth"] && yamldecode(c)["peer-transport-security"]["client-cert-auth"] && yamldecode(c)["initial-cluster-state"] == "new"])
    error_message = "clients and peers show certificates"
  }
}

run "the_load_balancer_spreads_by_what_is_under_way_and_speaks_tls" {
  command = plan

  module {
    source = "../modules/gateway"
  }

  variables {
    name               = "assay-test"
    vpc_id             = "vpc-1"
    public_subnet_ids  = ["subnet-4", "subnet-5", "subnet-6"]
    subnet_ids         = ["subnet-1", "subnet-2", "subnet-3"]
    security_group_ids = { alb = "sg-1", gateway = "sg-2" }
    namespace_id       = "ns-1"
    cluster_arn        = "arn:aws:ecs:eu-central-1:123456789012:cluster/assay-test"
    repository         = { url = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/assay-test/gateway", arn = "arn:aws:ecr:eu-central-1:123456789012:repository/assay-test/gateway" }
    managers           = "https://manager.assay-test.internal:8081"
    tls_server_name    = "manager.assay-test.internal"
    store              = { host = "db.example", port = 5432, database_name = "assay", role_name = "assay_gateway", connect_policy = "{\"Statement\":[]}" }
    identity           = { oidc = { issuer = "https://login.example.com", audience = "assay", roles = { platform = ["operator"] } } }
  }

  assert {
    condition     = strcontains(local.guard, "mode = \"credentials\"\ntokens = \"env:TOKENS\"") && strcontains(local.guard, "issuer = \"https://login.example.com\"") && strcontains(local.guard, "\"platform\" = [\"operator\"]")
    error_message = "credentials are asked for"
  }

  assert {
    condition     = strcontains(local.guard, "gateways = 2") && strcontains(local.guard, "head_seconds = 130") && aws_lb.this.idle_timeout == 120
    error_message = "quotas are shared out, and a gateway keeps a silent connection for longer than the load balancer"
  }

  assert {
    condition     = startswith(local.store_url, "postgres://assay_gateway@db.example:5432/assay?sslmode=verify-full")
    error_message = "a role of their own, over TLS"
  }

  assert {
    condition     = aws_lb_target_group.gateway.load_balancing_algorithm_type == "least_outstanding_requests" && aws_lb_target_group.gateway.health_check[0].path == "/readyz"
    error_message = "algorithm and health check"
  }

  assert {
    condition     = aws_lb_listener.https.port == 443 && aws_lb_listener.https.protocol == "HTTPS" && aws_lb_listener.https.ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    error_message = "TLS 1.2 and newer"
  }

  assert {
    condition     = aws_lb.this.enable_deletion_protection && aws_lb.this.drop_invalid_header_fields && aws_ecs_service.gateway.desired_count == 2
    error_message = "protection, and two gateways"
  }
}

run "nodes_follow_the_backlog_and_drain" {
  command = plan

  module {
    source = "../modules/cluster"
  }

  variables {
    name               = "assay-test"
    subnet_ids         = ["subnet-1", "subnet-2", "subnet-3"]
    security_group_ids = { manager = "sg-1", node = "sg-2" }
    namespace          = { id = "ns-1", name = "assay-test.internal" }
    etcd               = { endpoints = ["https://a:2379", "https://b:2379", "https://c:2379"], client_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x" }
    store = {
      host           = "db", port = 5432, database_name = "assay", role_name = "assay", admin_name = "boss", role_sql = "SELECT 1"
      connect_policy = "{\"Version\":\"2012-10-17\",\"Statement\":[]}", admin_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:y"
    }
  }

  assert {
    condition     = aws_ecs_service.manager.desired_count == 2 && aws_appautoscaling_target.node.min_capacity == 2 && aws_appautoscaling_target.node.max_capacity == 12
    error_message = "managers, and bounds of nodes"
  }

  assert {
    condition = one(aws_appautoscaling_policy.backlog.target_tracking_scaling_policy_configuration[0].customized_metric_specification[*].metric_name) == "BacklogPerNode" && one([
      for d in aws_appautoscaling_policy.backlog.target_tracking_scaling_policy_configuration[0].customized_metric_specification[0].dimensions : "${d.name}=${d.value}"
    ]) == "Cluster=assay-test"
    error_message = "the metric that the leader publishes"
  }

  assert {
    condition     = alltrue([for r in aws_ecr_repository.this : r.image_tag_mutability == "IMMUTABLE" && r.image_scanning_configuration[0].scan_on_push && !r.force_delete])
    error_message = "images are scanned, and tags do not move"
  }

  assert {
    condition     = alltrue([for s in [aws_ecs_service.manager, aws_ecs_service.node] : s.availability_zone_rebalancing == "ENABLED" && length(s.network_configuration[0].subnets) == 3 && !s.network_configuration[0].assign_public_ip])
    error_message = "over three zones, without public addresses"
  }
}

run "what_waits_for_a_first_image_does_not_run" {
  command = plan

  variables {
    running = false
  }

  assert {
    condition     = length(output.service_names) == 3
    error_message = "the services are there"
  }
}

run "what_is_watched_has_alarms_and_every_alert_says_what_to_do" {
  command = plan

  module {
    source = "../modules/observability"
  }

  variables {
    name    = "assay-test"
    watched = { scheduler = { function_name = "f", queue_name = "q" }, coordination = { instance_ids = { a = "i-1" } } }
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.this)) == toset(["ticks-missed", "scheduler-errors", "scheduler-slow", "scheduler-silent", "etcd-a-down"])
    error_message = "alarms of what is watched, and no others"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["scheduler-silent"].treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.this["scheduler-silent"].comparison_operator == "LessThanThreshold"
    error_message = "silence is an alarm where silence is the failure"
  }

  assert {
    condition = alltrue(flatten([
      for g in yamldecode(output.alerts).groups : [
        for r in g.rules : can(regex("^[A-Z][A-Za-z]+$", r.alert)) && length(r.annotations.summary) > 0 && length(r.annotations.action) > 0 && contains(["critical", "warning", "info"], r.labels.severity)
      ]
    ]))
    error_message = "every alert has a severity, and says what is wrong and what to do"
  }

  assert {
    condition     = [for j in yamldecode(output.scrape_config).scrape_configs : j.dns_sd_configs[0].port] == [9181, 9191, 9171]
    error_message = "what is scraped, and on which ports"
  }
}
