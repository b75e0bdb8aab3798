# Inputs that are refused, each by the variable that it is given to.

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
    defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c"] }
  }
  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-0123456789abcdef0" }
  }
  mock_data "aws_ec2_managed_prefix_list" {
    defaults = { id = "pl-0123456789abcdef0" }
  }
}

run "names_regions_tags_and_certificates" {
  command = plan

  variables {
    name            = "Assay_Staging"
    region          = "frankfurt"
    environment     = "Staging!"
    owner           = ""
    tags            = { Project = "other" }
    architecture    = "riscv"
    image_tag       = "latest"
    lambda_zip      = "scheduler.tar"
    certificate_arn = "none"
    etcd            = { sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }

  expect_failures = [var.name, var.region, var.environment, var.owner, var.tags, var.architecture, var.image_tag, var.lambda_zip, var.certificate_arn]
}

run "sizes_sources_and_addresses" {
  command = plan

  variables {
    image_tag        = "1.0.0"
    lambda_zip       = "./tests/empty.zip"
    certificate_arn  = "arn:aws:acm:eu-central-1:123456789012:certificate/0123"
    etcd             = { sha256 = "abc" }
    lambda_extra_env = { "1" = "x" }
    web_acl_arn      = "none"
    network          = { nat = "some", alb_ingress_cidrs = [] }
    store            = { backup_retention_days = 1 }
    manager          = { count = 1 }
    node             = { min = 0 }
    gateway          = { count = 1 }
    identity         = { anonymous = ["operator"] }
    quotas           = { anonymous = { per_second = 0, burst = 1 } }
    sources          = { object_arns = ["arn:aws:s3:::bucket"] }
    alarm_emails     = ["everyone"]
    budget           = { limit_usd = 10, emails = [] }
    prometheus       = { image_tag = "latest" }
  }

  expect_failures = [
    var.etcd, var.lambda_extra_env, var.web_acl_arn, var.network, var.store, var.manager, var.node, var.gateway,
    var.identity, var.quotas, var.sources, var.alarm_emails, var.budget, var.prometheus,
  ]
}

run "ways_out_to_everyone_and_fewer_than_three_zones" {
  command = plan

  module {
    source = "../modules/network"
  }

  variables {
    name               = "assay-test"
    vpc_cidr           = "10.0.0.0/28"
    availability_zones = ["a", "b"]
    nat                = "two"
    alb_ingress_cidrs  = ["everyone"]
    extra_egress       = { any = { from = "node", port = 5432, description = "databases", cidr_ipv4 = "0.0.0.0/0" } }
  }

  expect_failures = [var.vpc_cidr, var.availability_zones, var.nat, var.alb_ingress_cidrs, var.extra_egress]
}

run "an_etcd_with_known_holes_and_two_members_in_a_zone" {
  command = plan

  module {
    source = "../modules/coordination"
  }

  variables {
    name                  = "assay-test"
    members               = [{ id = "subnet-1", availability_zone = "a" }, { id = "subnet-2", availability_zone = "a" }, { id = "subnet-3", availability_zone = "c" }]
    vpc_security_group_id = "sg-1"
    namespace             = { id = "ns-1", name = "assay-test.internal" }
    etcd_version          = "3.5.32"
    etcd_sha256           = "abc"
    rejoining             = ["a", "b"]
  }

  expect_failures = [var.members, var.etcd_version, var.etcd_sha256, var.rejoining]
}

run "the_release_of_etcd_with_the_leak" {
  command = plan

  module {
    source = "../modules/coordination"
  }

  variables {
    name                  = "assay-test"
    members               = [{ id = "subnet-1", availability_zone = "a" }, { id = "subnet-2", availability_zone = "b" }, { id = "subnet-3", availability_zone = "c" }]
    vpc_security_group_id = "sg-1"
    namespace             = { id = "ns-1", name = "assay-test.internal" }
    etcd_version          = "3.6.14"
    etcd_sha256           = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  expect_failures = [var.etcd_version]
}

run "a_store_without_backups" {
  command = plan

  module {
    source = "../modules/store"
  }

  variables {
    name                  = "assay-test"
    subnet_ids            = ["subnet-1"]
    security_group_id     = "sg-1"
    backup_retention_days = 0
    engine_version        = "9"
    admin_name            = "postgres"
    storage_gb            = { initial = 50, maximum = 50 }
  }

  expect_failures = [var.subnet_ids, var.backup_retention_days, var.engine_version, var.admin_name, var.storage_gb]
}

run "a_schedule_that_is_none_and_a_password_in_the_environment" {
  command = plan

  module {
    source = "../modules/scheduler"
  }

  variables {
    name                = "assay-test"
    lambda_zip          = "./tests/empty.zip"
    table_name          = "datasets"
    registry_policy     = "allow everything"
    managers            = "manager.internal"
    schedule_expression = "every minute"
    lambda_environment  = { DB_PASSWORD = "hunter2" }
  }

  expect_failures = [var.registry_policy, var.managers, var.schedule_expression, var.lambda_environment]
}

run "one_manager_and_a_drain_that_is_killed" {
  command = plan

  module {
    source = "../modules/cluster"
  }

  variables {
    name               = "assay-test"
    subnet_ids         = ["subnet-1", "subnet-2"]
    security_group_ids = { manager = "sg-1", node = "sg-2" }
    namespace          = { id = "ns-1", name = "assay-test.internal" }
    image_tag          = "1.0.0"
    etcd               = { endpoints = ["http://a:2379"], client_secret_arn = "arn:x" }
    store              = { host = "db", port = 5432, database_name = "assay", role_name = "assay", admin_name = "boss", role_sql = "", connect_policy = "allow", admin_secret_arn = "arn:y" }
    manager            = { count = 1 }
    node               = { min = 5, max = 2 }
    drain_grace_s      = 120
    sources            = { object_arns = ["arn:aws:s3:::bucket"] }
  }

  expect_failures = [var.subnet_ids, var.etcd, var.store, var.manager, var.node, var.drain_grace_s, var.sources]
}

run "a_listener_without_tls" {
  command = plan

  module {
    source = "../modules/gateway"
  }

  variables {
    name               = "assay-test"
    vpc_id             = "vpc-1"
    public_subnet_ids  = ["subnet-4"]
    subnet_ids         = ["subnet-1", "subnet-2", "subnet-3"]
    security_group_ids = { alb = "sg-1", gateway = "sg-2" }
    namespace_id       = "ns-1"
    cluster_arn        = "arn:aws:ecs:eu-central-1:123456789012:cluster/assay-test"
    certificate_arn    = "none"
    image_tag          = "1.0.0"
    repository         = { url = "x", arn = "arn:aws:ecr:eu-central-1:123456789012:repository/x" }
    tls_policy         = "ELBSecurityPolicy-2016-08"
    managers           = "http://manager:8081"
    tls_server_name    = "manager"
    gateway            = { count = 1 }
    store              = { host = "h", port = 5432, database_name = "d", role_name = "r", connect_policy = "none" }
    identity           = { anonymous = ["operator"] }
    quotas             = { principal = { per_second = 0, burst = 1 } }
  }

  expect_failures = [var.public_subnet_ids, var.certificate_arn, var.tls_policy, var.managers, var.gateway, var.store, var.identity, var.quotas]
}

run "a_budget_of_nobody" {
  command = plan

  module {
    source = "../modules/observability"
  }

  variables {
    name        = "assay-test"
    watched     = {}
    subscribers = ["everyone"]
    budget      = { limit_usd = 0, emails = [] }
  }

  expect_failures = [var.subscribers, var.budget]
}
