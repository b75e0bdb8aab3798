# A task of Fargate: what it runs, its log, and two identities, one to be started with (image,
# secrets, log) and one to run as.

data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}/${var.service}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_ecs_task_definition" "this" {
  family                   = "${var.name}-${var.service}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory_mb
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn


  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture == "arm64" ? "ARM64" : "X86_64"
  }

  ephemeral_storage {
    size_in_gib = var.ephemeral_gb
  }

  # The image declares /tmp as a volume, so that the user of the container may write there.
  volume {
    name = "tmp"
  }

  container_definitions = jsonencode([merge(
    {
      name                   = var.service
      image                  = var.image
      essential              = true
      user                   = "10001:10001"
      readonlyRootFilesystem = true
      privileged             = false
      stopTimeout            = var.stop_timeout_s
      environment            = [for k in sort(keys(var.environment)) : { name = k, value = var.environment[k] }]
      secrets                = [for k in sort(keys(var.secrets)) : { name = k, valueFrom = var.secrets[k] }]
      mountPoints            = [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]
      volumesFrom            = []
      systemControls         = []
      portMappings           = [for p in var.ports : { containerPort = p, hostPort = p, protocol = "tcp" }]
      linuxParameters        = { initProcessEnabled = false, capabilities = { drop = ["ALL"] } }

      # A log that cannot be delivered must not stop the work.
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.this.name
          awslogs-region        = data.aws_region.current.name
          awslogs-stream-prefix = var.service
          mode                  = "non-blocking"
          max-buffer-size       = "8m"
        }
      }
    },
    var.command == null ? {} : { command = var.command },
    var.health_command == null ? {} : {
      healthCheck = {
        command     = concat(["CMD"], var.health_command)
        interval    = 10
        timeout     = 5
        retries     = 3
        startPeriod = 60
      }
    },
  )])
}
