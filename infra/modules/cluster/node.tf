# Data nodes: as many as the backlog wants, between two bounds. A node that is to go gets SIGTERM,
# drains (its tasks end, or are handed back uncharged) and leaves before Fargate kills it: that is
# what protects work from being scaled in.

module "node" {
  source = "../task"

  name           = var.name
  service        = "datanode"
  image          = "${aws_ecr_repository.this["datanode"].repository_url}:${var.image_tag}"
  repository_arn = aws_ecr_repository.this["datanode"].arn
  architecture   = var.architecture
  cpu            = var.node.cpu
  memory_mb      = var.node.memory_mb
  ephemeral_gb   = var.node.ephemeral_gb
  ports          = [var.ports.node_probe, var.ports.node_telemetry]
  health_command = ["/usr/local/bin/assay-datanode", "--health"]
  stop_timeout_s = 120

  environment = merge(local.common, {
    ASSAY_MANAGERS         = local.managers
    ASSAY_NODE_SLOTS       = tostring(var.node.slots)
    ASSAY_NODE_ZONE        = "auto"
    ASSAY_NODE_PROBE       = "0.0.0.0:${var.ports.node_probe}"
    ASSAY_TELEMETRY_LISTEN = "0.0.0.0:${var.ports.node_telemetry}"
    ASSAY_DRAIN_GRACE_S    = tostring(var.drain_grace_s)
  })

  secrets = merge(
    local.etcd_secrets,
    { for name, key in local.parts : "TLS_${name}" => "${aws_secretsmanager_secret.tls["node"].arn}:${key}::" },
  )

  secret_arns = [aws_secretsmanager_secret.tls["node"].arn, var.etcd.client_secret_arn]

  policies = merge(
    { store = var.store.connect_policy },
    length(var.sources.object_arns) == 0 ? {} : { sources = local.source_policy },
  )

  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
}

resource "aws_ecs_service" "node" {
  name                               = "datanode"
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = module.node.task_definition_arn
  desired_count                      = var.running ? var.node.min : 0
  availability_zone_rebalancing      = "ENABLED"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 150
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"

  dynamic "capacity_provider_strategy" {
    for_each = { for name, weight in { FARGATE = var.node.on_demand_weight, FARGATE_SPOT = var.node.spot_weight } : name => weight if weight > 0 }

    content {
      capacity_provider = capacity_provider_strategy.key
      weight            = capacity_provider_strategy.value
      base              = capacity_provider_strategy.key == "FARGATE" ? 1 : 0
    }
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [var.security_group_ids.node]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.this["node"].arn
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  # The number of nodes is autoscaling's.
  lifecycle {
    ignore_changes = [desired_count]
  }

  depends_on = [aws_ecs_cluster_capacity_providers.this]
}

resource "aws_appautoscaling_target" "node" {
  service_namespace  = "ecs"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.node.name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = var.running ? var.node.min : 0
  max_capacity       = var.running ? var.node.max : 0
}

# The leader publishes the backlog per node once a minute (ASSAY_EMF_NAMESPACE); autoscaling keeps it
# near the target.
resource "aws_appautoscaling_policy" "backlog" {
  name               = "${var.name}-backlog-per-node"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.node.service_namespace
  resource_id        = aws_appautoscaling_target.node.resource_id
  scalable_dimension = aws_appautoscaling_target.node.scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = var.node.backlog_target
    scale_out_cooldown = var.node.scale_out_pause_s
    scale_in_cooldown  = var.node.scale_in_pause_s

    customized_metric_specification {
      namespace   = "Assay"
      metric_name = "BacklogPerNode"
      statistic   = "Average"

      dimensions {
        name  = "Cluster"
        value = var.name
      }
    }
  }
}
