# A whole cluster: registry and schedule, coordination, state of record, managers and data nodes,
# the door from outside, and what watches them.

locals {
  lambda_zip           = coalesce(var.lambda_zip, "${path.root}/../lambda/scheduler.zip")
  secret_recovery_days = var.deletion_protection ? 7 : 0

  namespace = {
    id   = module.network.namespace_id
    name = module.network.namespace_name
  }
}

module "network" {
  source = "../modules/network"

  name                    = var.name
  vpc_cidr                = var.network.vpc_cidr
  availability_zones      = var.network.availability_zones
  nat                     = var.network.nat
  alb_ingress_cidrs       = var.network.alb_ingress_cidrs
  extra_egress            = var.network.extra_egress
  flow_log_retention_days = var.log_retention_days
  kms_key_arn             = aws_kms_key.this.arn

  interface_endpoints = concat(
    ["ecr.api", "ecr.dkr", "logs", "secretsmanager", "sns", "ssm", "ssmmessages"],
    var.prometheus.enabled ? ["aps-workspaces"] : [],
  )
}

module "registry" {
  source = "../modules/registry"

  table_name          = "${var.name}-datasets"
  kms_key_arn         = aws_kms_key.this.arn
  deletion_protection = var.deletion_protection
}

module "scheduler" {
  source = "../modules/scheduler"

  name                 = var.name
  lambda_zip           = local.lambda_zip
  architecture         = var.architecture
  table_name           = module.registry.table_name
  registry_policy      = module.registry.tick_policy
  managers             = module.cluster.managers
  tls_server_name      = module.cluster.manager_host
  lambda_environment   = var.lambda_extra_env
  schedule_enabled     = var.running
  concurrency_max      = var.scheduler_concurrency_max
  secret_recovery_days = local.secret_recovery_days
  log_retention_days   = var.log_retention_days
  kms_key_arn          = aws_kms_key.this.arn

  vpc = {
    subnet_ids         = module.network.private_subnet_ids
    security_group_ids = [module.network.security_group_ids["scheduler"]]
  }
}

module "coordination" {
  source = "../modules/coordination"

  name                  = var.name
  members               = module.network.private_subnets
  vpc_security_group_id = module.network.security_group_ids["etcd"]
  namespace             = local.namespace
  etcd_version          = var.etcd.version
  etcd_sha256           = var.etcd.sha256
  architecture          = var.architecture
  instance_type         = var.etcd.instance_type
  ami_id                = var.etcd.ami_id
  volume_gb             = var.etcd.volume_gb
  rejoining             = var.etcd.rejoining
  keep_on_destroy       = var.deletion_protection
  secret_recovery_days  = local.secret_recovery_days
  kms_key_arn           = aws_kms_key.this.arn
}

module "store" {
  source = "../modules/store"

  name                  = var.name
  subnet_ids            = module.network.private_subnet_ids
  security_group_id     = module.network.security_group_ids["store"]
  engine_version        = var.store.engine_version
  instance_class        = var.store.instance_class
  storage_gb            = var.store.storage_gb
  multi_az              = var.store.multi_az
  backup_retention_days = var.store.backup_retention_days
  deletion_protection   = var.deletion_protection
  log_retention_days    = var.log_retention_days
  kms_key_arn           = aws_kms_key.this.arn
}

module "cluster" {
  source = "../modules/cluster"

  name                 = var.name
  subnet_ids           = module.network.private_subnet_ids
  namespace            = local.namespace
  image_tag            = var.image_tag
  architecture         = var.architecture
  running              = var.running
  manager              = var.manager
  node                 = var.node
  sources              = var.sources
  delete_images        = !var.deletion_protection
  secret_recovery_days = local.secret_recovery_days
  log_retention_days   = var.log_retention_days
  kms_key_arn          = aws_kms_key.this.arn
  incident_topic_arn   = module.observability.incident_topic_arn
  notify               = true

  security_group_ids = {
    manager = module.network.security_group_ids["manager"]
    node    = module.network.security_group_ids["node"]
  }

  ports = module.network.ports

  etcd = {
    endpoints         = module.coordination.endpoints
    client_secret_arn = module.coordination.client_secret_arn
  }

  store = {
    host              = module.store.host
    port              = module.store.port
    database_name     = module.store.database_name
    role_name         = module.store.role_name
    gateway_role_name = module.store.gateway_role_name
    connect_policy    = module.store.connect_policy
    admin_name        = module.store.admin_name
    admin_secret_arn  = module.store.admin_secret_arn
    role_sql          = module.store.role_sql
  }

  registry = {
    table_name = module.registry.table_name
    policy     = module.registry.tick_policy
  }
}

module "gateway" {
  source = "../modules/gateway"

  name                 = var.name
  vpc_id               = module.network.vpc_id
  public_subnet_ids    = module.network.public_subnet_ids
  subnet_ids           = module.network.private_subnet_ids
  namespace_id         = module.network.namespace_id
  ports                = module.network.ports
  cluster_arn          = module.cluster.cluster_arn
  certificate_arn      = var.certificate_arn
  web_acl_arn          = var.web_acl_arn
  image_tag            = var.image_tag
  architecture         = var.architecture
  running              = var.running && var.gateway.running
  gateway              = var.gateway
  identity             = var.identity
  quotas               = var.quotas
  managers             = module.cluster.managers
  tls_server_name      = module.cluster.manager_host
  deletion_protection  = var.deletion_protection
  secret_recovery_days = local.secret_recovery_days
  log_retention_days   = var.log_retention_days
  kms_key_arn          = aws_kms_key.this.arn

  security_group_ids = {
    alb     = module.network.security_group_ids["alb"]
    gateway = module.network.security_group_ids["gateway"]
  }

  # A role of its own: it reads, and appends to the audit log.
  store = {
    host           = module.store.host
    port           = module.store.port
    database_name  = module.store.database_name
    role_name      = module.store.gateway_role_name
    connect_policy = module.store.gateway_connect_policy
  }

  repository = {
    url = module.cluster.repository_urls["gateway"]
    arn = module.cluster.repository_arns["gateway"]
  }

  # Datasets are registered through gateways: one place to log in.
  environment = { ASSAY_REGISTRY_TABLE = module.registry.table_name }
  policies    = { registry = module.registry.author_policy }
}

module "observability" {
  source = "../modules/observability"

  name               = var.name
  subscribers        = var.alarm_emails
  budget             = var.budget
  namespace_name     = module.network.namespace_name
  log_retention_days = var.log_retention_days
  kms_key_arn        = aws_kms_key.this.arn

  watched = {
    scheduler = {
      function_name = module.scheduler.function_name
      queue_name    = module.scheduler.missed_queue_name
      enabled       = var.running
    }
    registry     = { table_name = module.registry.table_name }
    coordination = { instance_ids = module.coordination.instance_ids }
    store = {
      identifier = module.store.identifier
      storage_gb = var.store.storage_gb.initial
    }
    cluster = {
      cluster_name = module.cluster.cluster_name
      managers_min = var.manager.count
      nodes_min    = var.node.min
      nodes_max    = var.node.max
      services     = module.cluster.service_names
      running      = var.running
    }
    gateway = {
      load_balancer_suffix = module.gateway.load_balancer_suffix
      target_group_suffix  = module.gateway.target_group_suffix
      service_name         = module.gateway.service_name
    }
  }

  prometheus = !var.prometheus.enabled ? null : {
    collector_image   = "${module.cluster.repository_urls["collector"]}:${var.prometheus.image_tag}"
    repository_arn    = module.cluster.repository_arns["collector"]
    cluster_arn       = module.cluster.cluster_arn
    subnet_ids        = module.network.private_subnet_ids
    security_group_id = module.network.security_group_ids["collector"]
    architecture      = var.architecture
    running           = var.running
    alertmanager      = var.prometheus.alertmanager
  }
}
