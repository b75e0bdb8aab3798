# Managers: one leads, the others stand by and take over.

module "manager" {
  source = "../task"

  name           = var.name
  service        = "manager"
  image          = "${aws_ecr_repository.this["manager"].repository_url}:${var.image_tag}"
  repository_arn = aws_ecr_repository.this["manager"].arn
  architecture   = var.architecture
  cpu            = var.manager.cpu
  memory_mb      = var.manager.memory_mb
  ports          = [var.ports.manager, var.ports.manager_telemetry]
  health_command = ["/usr/local/bin/assay-manager", "--health"]
  stop_timeout_s = 30

  environment = merge(
    local.common,
    {
      ASSAY_MANAGER_LISTEN    = "0.0.0.0:${var.ports.manager}"
      ASSAY_MANAGER_ADVERTISE = "https://{address}:${var.ports.manager}"
      ASSAY_TELEMETRY_LISTEN  = "0.0.0.0:${var.ports.manager_telemetry}"
      ASSAY_NODES_MIN         = tostring(var.node.min)
      ASSAY_NODES_MAX         = tostring(var.node.max)
      ASSAY_EMF_NAMESPACE     = "Assay"
    },
    var.store.gateway_role_name == null ? {} : { ASSAY_STORE_GATEWAY_ROLE = var.store.gateway_role_name },
    var.registry == null ? {} : {
      ASSAY_REGISTRY_TABLE   = var.registry.table_name
      ASSAY_SCHEDULE_EVERY_S = tostring(var.schedule_every_s)
    },
  )

  secrets = merge(
    local.etcd_secrets,
    { for name, key in local.parts : "TLS_${name}" => "${aws_secretsmanager_secret.tls["manager"].arn}:${key}::" },
  )

  secret_arns = [aws_secretsmanager_secret.tls["manager"].arn, var.etcd.client_secret_arn]

  policies = merge(
    { store = var.store.connect_policy },
    var.registry == null ? {} : { registry = var.registry.policy },
    var.notify ? { incidents = local.incident_policy } : {},
  )

  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
}

resource "aws_ecs_service" "manager" {
  name                               = "manager"
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = module.manager.task_definition_arn
  desired_count                      = var.running ? var.manager.count : 0
  launch_type                        = "FARGATE"
  availability_zone_rebalancing      = "ENABLED"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"

  # Fargate lays a service's tasks over the zones of its subnets.
  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [var.security_group_ids.manager]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.this["manager"].arn
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
}
