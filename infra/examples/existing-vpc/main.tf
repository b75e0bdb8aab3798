# Managers, data nodes, registry and schedule in a VPC that is there already, on an etcd and a Postgres
# that are there already. Their security groups have to let the groups `manager` and `node` in, on
# 2379 and 5432: that is for whoever owns them, with the output security_group_ids.

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Project   = "assay"
      Cluster   = var.name
      ManagedBy = "terraform"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

module "network" {
  source = "../../modules/network"

  name              = var.name
  existing_vpc      = var.vpc
  alb_ingress_cidrs = []

  # The groups of the etcd and the Postgres that are there, by reference.
  extra_egress = {
    manager-etcd  = { from = "manager", port = 2379, security_group_id = var.etcd.security_group_id, description = "to the etcd that is there" }
    node-etcd     = { from = "node", port = 2379, security_group_id = var.etcd.security_group_id, description = "to the etcd that is there" }
    manager-store = { from = "manager", port = var.store.port, security_group_id = var.store.security_group_id, description = "to the Postgres that is there" }
    node-store    = { from = "node", port = var.store.port, security_group_id = var.store.security_group_id, description = "to the Postgres that is there" }
  }
}

module "registry" {
  source = "../../modules/registry"

  table_name          = "${var.name}-datasets"
  deletion_protection = false
}

module "scheduler" {
  source = "../../modules/scheduler"

  name                 = var.name
  lambda_zip           = var.lambda_zip
  table_name           = module.registry.table_name
  registry_policy      = module.registry.tick_policy
  managers             = module.cluster.managers
  tls_server_name      = module.cluster.manager_host
  schedule_enabled     = var.running
  secret_recovery_days = 0

  vpc = {
    subnet_ids         = module.network.private_subnet_ids
    security_group_ids = [module.network.security_group_ids["scheduler"]]
  }
}

module "cluster" {
  source = "../../modules/cluster"

  name                 = var.name
  subnet_ids           = module.network.private_subnet_ids
  image_tag            = var.image_tag
  running              = var.running
  delete_images        = true
  secret_recovery_days = 0

  namespace = {
    id   = module.network.namespace_id
    name = module.network.namespace_name
  }

  security_group_ids = {
    manager = module.network.security_group_ids["manager"]
    node    = module.network.security_group_ids["node"]
  }

  etcd = {
    endpoints         = var.etcd.endpoints
    client_secret_arn = var.etcd.client_secret_arn
  }

  store = {
    host             = var.store.host
    port             = var.store.port
    database_name    = var.store.database_name
    role_name        = var.store.role_name
    admin_name       = var.store.admin_name
    admin_secret_arn = var.store.admin_secret_arn
    role_sql         = "CREATE ROLE ${var.store.role_name} LOGIN; GRANT rds_iam TO ${var.store.role_name};"

    connect_policy = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid      = "LogInAsItsRole"
        Effect   = "Allow"
        Action   = ["rds-db:connect"]
        Resource = ["arn:${data.aws_partition.current.partition}:rds-db:${var.region}:${data.aws_caller_identity.current.account_id}:dbuser:${var.store.resource_id}/${var.store.role_name}"]
      }]
    })
  }
}
