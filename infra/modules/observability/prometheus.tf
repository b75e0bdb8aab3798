# Series of Prometheus. Fargate has no agent on the host and no stable addresses: the collector asks
# DNS, where ECS registers each task (Cloud Map), and scrapes what it finds. The same configuration
# serves a Prometheus of one's own (files/scrape.yml.tftpl).

locals {
  alerts = file("${path.module}/files/alerts.yml")

  scrape = yamldecode(templatefile("${path.module}/files/scrape.yml.tftpl", {
    cluster   = var.name
    namespace = var.namespace_name
  }))

  collector_config = var.prometheus == null ? "" : yamlencode({
    extensions = {
      health_check = { endpoint = "0.0.0.0:13133" }
      sigv4auth    = { region = local.region, service = "aps" }
    }
    receivers = {
      # The collector reads $ as the beginning of a variable.
      prometheus = { config = jsondecode(replace(jsonencode(local.scrape), "$", "$$")) }
    }
    processors = {
      batch          = {}
      memory_limiter = { check_interval = "1s", limit_percentage = 80, spike_limit_percentage = 20 }
    }
    exporters = {
      prometheusremotewrite = {
        endpoint        = "${aws_prometheus_workspace.this[0].prometheus_endpoint}api/v1/remote_write"
        auth            = { authenticator = "sigv4auth" }
        external_labels = { cluster = var.name }
      }
    }
    service = {
      extensions = ["health_check", "sigv4auth"]
      pipelines = {
        metrics = {
          receivers  = ["prometheus"]
          processors = ["memory_limiter", "batch"]
          exporters  = ["prometheusremotewrite"]
        }
      }
    }
  })
}

resource "aws_prometheus_workspace" "this" {
  count = var.prometheus == null ? 0 : 1

  alias       = var.name
  kms_key_arn = var.kms_key_arn
}

resource "aws_prometheus_rule_group_namespace" "alerts" {
  count = var.prometheus == null ? 0 : 1

  name         = "assay"
  workspace_id = aws_prometheus_workspace.this[0].id
  data         = local.alerts
}

resource "aws_prometheus_alert_manager_definition" "this" {
  count = try(var.prometheus.alertmanager, false) ? 1 : 0

  workspace_id = aws_prometheus_workspace.this[0].id

  definition = yamlencode({
    alertmanager_config = yamlencode({
      route = {
        receiver        = "alarms"
        group_by        = ["alertname"]
        group_wait      = "30s"
        group_interval  = "5m"
        repeat_interval = "12h"
      }
      receivers = [{
        name = "alarms"
        sns_configs = [{
          topic_arn = aws_sns_topic.alarms.arn
          sigv4     = { region = local.region }
        }]
      }]
    })
  })
}

module "collector" {
  source = "../task"
  count  = var.prometheus == null ? 0 : 1

  name           = var.name
  service        = "collector"
  image          = var.prometheus.collector_image
  repository_arn = var.prometheus.repository_arn
  architecture   = var.prometheus.architecture
  cpu            = 256
  memory_mb      = 512
  health_command = ["/healthcheck"]

  environment = { AOT_CONFIG_CONTENT = local.collector_config }

  policies = {
    series = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid      = "WriteSeries"
        Effect   = "Allow"
        Action   = ["aps:RemoteWrite"]
        Resource = [aws_prometheus_workspace.this[0].arn]
      }]
    })
  }

  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
}

resource "aws_ecs_service" "collector" {
  count = var.prometheus == null ? 0 : 1

  name                    = "collector"
  cluster                 = var.prometheus.cluster_arn
  task_definition         = module.collector[0].task_definition_arn
  desired_count           = var.prometheus.running ? 1 : 0
  launch_type             = "FARGATE"
  enable_ecs_managed_tags = true
  propagate_tags          = "SERVICE"

  # One at a time: two would write the same series twice.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  network_configuration {
    subnets          = var.prometheus.subnet_ids
    security_groups  = [var.prometheus.security_group_id]
    assign_public_ip = false
  }
}
