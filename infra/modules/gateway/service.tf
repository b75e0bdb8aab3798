# The gateways.

locals {
  parts = { CA = "ca", CERT = "cert", KEY = "key" }

  # Seconds that the load balancer keeps a connection that says nothing. A gateway keeps it for longer:
  # one that is closed while a request is on its way is an error that nobody made.
  idle_s = 120

  # A token of IAM for each connection, checked against the authorities of RDS.
  store_url = "postgres://${var.store.role_name}@${var.store.host}:${var.store.port}/${var.store.database_name}?sslmode=verify-full&sslrootcert=${var.store.ca_file}"

  # Texts and lists of TOML are spelt like those of JSON.
  guard = join("\n", concat(
    [
      "[identity]",
      "mode = \"credentials\"",
      "tokens = \"env:TOKENS\"",
      "anonymous = ${jsonencode(var.identity.anonymous)}",
      "trusted_proxies = ${jsonencode(data.aws_subnet.balancer[*].cidr_block)}",
    ],
    [for oidc in var.identity.oidc[*] : join("\n", concat(
      ["[identity.oidc]"],
      [for key in ["issuer", "audience", "owners_claim", "roles_claim", "id_claim"] : "${key} = ${jsonencode(oidc[key])}" if oidc[key] != null],
      ["[identity.oidc.roles]"],
      [for group, roles in oidc.roles : "${jsonencode(group)} = ${jsonencode(roles)}"],
    ))],
    [
      "[quotas]",
      "gateways = ${var.gateway.count}",
      "principal = { per_second = ${var.quotas.principal.per_second}, burst = ${var.quotas.principal.burst} }",
      "anonymous = { per_second = ${var.quotas.anonymous.per_second}, burst = ${var.quotas.anonymous.burst} }",
      "[limits]",
      "head_seconds = ${local.idle_s + 10}",
      "",
    ],
  ))
}

# Where the load balancer asks from: it alone is believed whom it asks for.
data "aws_subnet" "balancer" {
  count = length(var.public_subnet_ids)

  id = var.public_subnet_ids[count.index]
}

# The tokens that gateways take, as hashes: a place without a value, filled from the file of
# `assay token new`. Gateways read it when they start.
resource "aws_secretsmanager_secret" "tokens" {
  name                    = "${var.name}/gateway/tokens"
  description             = "Tokens that gateways take: the file of `assay token new`, which holds their hashes"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}

# The gateways' certificate towards managers: a place without a value, filled from `assay cluster certs`.
resource "aws_secretsmanager_secret" "tls" {
  name                    = "${var.name}/tls/gateway"
  description             = "Certificate of gateways towards managers: {\"ca\",\"cert\",\"key\"} in PEM"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}

resource "aws_service_discovery_service" "gateway" {
  name = "gateway"

  dns_config {
    namespace_id   = var.namespace_id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

module "gateway" {
  source = "../task"

  name           = var.name
  service        = "gateway"
  image          = "${var.repository.url}:${var.image_tag}"
  repository_arn = var.repository.arn
  architecture   = var.architecture
  cpu            = var.gateway.cpu
  memory_mb      = var.gateway.memory_mb
  ports          = [var.ports.gateway, var.ports.gateway_telemetry]
  health_command = ["/usr/local/bin/assay-gateway", "--health"]
  stop_timeout_s = 60

  environment = merge(
    {
      ASSAY_LOG              = "info"
      ASSAY_LOG_FORMAT       = "json"
      ASSAY_CLUSTER_NAME     = var.name
      ASSAY_GATEWAY_LISTEN   = "0.0.0.0:${var.ports.gateway}"
      ASSAY_TELEMETRY_LISTEN = "0.0.0.0:${var.ports.gateway_telemetry}"
      ASSAY_GUARD            = "env:GUARD"
      GUARD                  = local.guard
      ASSAY_STORE_URL        = local.store_url
      ASSAY_STORE_AUTH       = "iam"
      ASSAY_MANAGERS         = var.managers
      ASSAY_TLS_SERVER_NAME  = var.tls_server_name
      ASSAY_TLS_CA           = "env:TLS_CA"
      ASSAY_TLS_CERT         = "env:TLS_CERT"
      ASSAY_TLS_KEY          = "env:TLS_KEY"
    },
    var.environment,
  )

  secrets = merge(
    { for name, key in local.parts : "TLS_${name}" => "${aws_secretsmanager_secret.tls.arn}:${key}::" },
    { TOKENS = aws_secretsmanager_secret.tokens.arn },
  )

  secret_arns = [aws_secretsmanager_secret.tls.arn, aws_secretsmanager_secret.tokens.arn]
  policies    = merge({ store = var.store.connect_policy }, var.policies)

  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
}

resource "aws_ecs_service" "gateway" {
  name                               = "gateway"
  cluster                            = var.cluster_arn
  task_definition                    = module.gateway.task_definition_arn
  desired_count                      = var.running ? var.gateway.count : 0
  launch_type                        = "FARGATE"
  availability_zone_rebalancing      = "ENABLED"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 60
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [var.security_group_ids.gateway]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.gateway.arn
    container_name   = module.gateway.container_name
    container_port   = var.ports.gateway
  }

  service_registries {
    registry_arn = aws_service_discovery_service.gateway.arn
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  depends_on = [aws_lb_listener.https]
}
