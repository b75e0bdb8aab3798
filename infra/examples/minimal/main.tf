# The smallest whole cluster: one that is thrown away again. No door from outside (the command runs
# within the VPC), no alarms, a database without a copy, keys of AWS, nothing protected from deletion.

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

locals {
  namespace = {
    id   = module.network.namespace_id
    name = module.network.namespace_name
  }
}

module "network" {
  source = "../../modules/network"

  name                    = var.name
  flow_log_retention_days = 0
  alb_ingress_cidrs       = []
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

module "coordination" {
  source = "../../modules/coordination"

  name                  = var.name
  members               = module.network.private_subnets
  vpc_security_group_id = module.network.security_group_ids["etcd"]
  namespace             = local.namespace
  etcd_sha256           = var.etcd_sha256
  keep_on_destroy       = false
  secret_recovery_days  = 0
}

module "store" {
  source = "../../modules/store"

  name                = var.name
  subnet_ids          = module.network.private_subnet_ids
  security_group_id   = module.network.security_group_ids["store"]
  storage_gb          = { initial = 20, maximum = 50 }
  multi_az            = false
  deletion_protection = false
}

module "cluster" {
  source = "../../modules/cluster"

  name                 = var.name
  subnet_ids           = module.network.private_subnet_ids
  namespace            = local.namespace
  image_tag            = var.image_tag
  running              = var.running
  node                 = { min = 1, max = 3, cpu = 1024, memory_mb = 2048 }
  delete_images        = true
  secret_recovery_days = 0

  security_group_ids = {
    manager = module.network.security_group_ids["manager"]
    node    = module.network.security_group_ids["node"]
  }

  etcd = {
    endpoints         = module.coordination.endpoints
    client_secret_arn = module.coordination.client_secret_arn
  }

  store = {
    host             = module.store.host
    port             = module.store.port
    database_name    = module.store.database_name
    role_name        = module.store.role_name
    connect_policy   = module.store.connect_policy
    admin_name       = module.store.admin_name
    admin_secret_arn = module.store.admin_secret_arn
    role_sql         = module.store.role_sql
  }
}
