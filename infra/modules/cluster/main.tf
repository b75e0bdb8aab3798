# Managers and data nodes on Fargate, over three zones.

locals {
  manager_host = "manager.${var.namespace.name}"
  managers     = "https://${local.manager_host}:${var.ports.manager}"

  # Logged in as a role without a password: a token of IAM for each connection, checked against the
  # authorities of RDS.
  store_url = "postgres://${var.store.role_name}@${var.store.host}:${var.store.port}/${var.store.database_name}?sslmode=verify-full&sslrootcert=${var.store.ca_file}"

  common = {
    ASSAY_LOG             = var.log_level
    ASSAY_LOG_FORMAT      = "json"
    ASSAY_CLUSTER_NAME    = var.name
    ASSAY_STORE_URL       = local.store_url
    ASSAY_STORE_AUTH      = "iam"
    ASSAY_ETCD            = join(",", var.etcd.endpoints)
    ASSAY_ETCD_PREFIX     = "/${var.name}"
    ASSAY_ETCD_CA         = "env:ETCD_CA"
    ASSAY_ETCD_CERT       = "env:ETCD_CERT"
    ASSAY_ETCD_KEY        = "env:ETCD_KEY"
    ASSAY_TLS_CA          = "env:TLS_CA"
    ASSAY_TLS_CERT        = "env:TLS_CERT"
    ASSAY_TLS_KEY         = "env:TLS_KEY"
    ASSAY_TLS_SERVER_NAME = local.manager_host
  }

  # Of the JSON in a secret, each part becomes a variable of its own.
  parts = { CA = "ca", CERT = "cert", KEY = "key" }

  etcd_secrets = { for name, key in local.parts : "ETCD_${name}" => "${var.etcd.client_secret_arn}:${key}::" }
}

resource "aws_ecs_cluster" "this" {
  name = var.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

# Certificates: places without a value, filled by people or a pipeline from `assay cluster certs`.
resource "aws_secretsmanager_secret" "tls" {
  for_each = {
    manager = "Certificate of managers for ${local.manager_host}"
    node    = "Certificate of data nodes, in the name of ${var.node_name}*"
  }

  name                    = "${var.name}/tls/${each.key}"
  description             = "${each.value}: {\"ca\",\"cert\",\"key\"} in PEM"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}

# Names that resolve to the addresses of all tasks: for nodes and gateways to find managers, and for
# the collector to find what it scrapes.
resource "aws_service_discovery_service" "this" {
  for_each = toset(["manager", "node"])

  name = each.key

  dns_config {
    namespace_id   = var.namespace.id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}
