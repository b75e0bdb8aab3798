# The scheduled Lambda: each tick reads what is due from the registry and submits a run per slot to
# a manager.

locals {
  function_name = "${var.name}-scheduler"

  tls_secret_arn = (
    var.tls_secret == null ? null :
    var.tls_secret == "create" ? one(aws_secretsmanager_secret.tls[*].arn) : var.tls_secret
  )

  environment = merge(
    {
      ASSAY_REGISTRY_TABLE = var.table_name
      ASSAY_LOG            = var.log_level
    },
    var.managers == "" ? {} : { ASSAY_MANAGERS = var.managers },
    var.tls_server_name == "" ? {} : { ASSAY_TLS_SERVER_NAME = var.tls_server_name },
    var.tls_secret == null ? {} : { ASSAY_TLS_SECRET = local.tls_secret_arn },
    var.lambda_environment,
  )
}

resource "aws_lambda_function" "scheduler" {
  function_name                  = local.function_name
  description                    = "Submits the runs that are due to Assay's managers"
  role                           = aws_iam_role.function.arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  filename                       = var.lambda_zip
  source_code_hash               = filebase64sha256(var.lambda_zip)
  memory_size                    = var.memory_mb
  timeout                        = var.timeout_s
  reserved_concurrent_executions = var.concurrency_max
  kms_key_arn                    = var.kms_key_arn

  environment {
    variables = local.environment
  }

  # What Lambda itself could not run, after its own tries.
  dead_letter_config {
    target_arn = aws_sqs_queue.missed.arn
  }

  dynamic "vpc_config" {
    for_each = var.vpc[*]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  depends_on = [
    aws_cloudwatch_log_group.function,
    aws_iam_role_policy.function,
    aws_iam_role_policy.registry,
  ]
}

# Scheduler invokes asynchronously, so that Lambda, too, has a queue and tries again.
resource "aws_lambda_function_event_invoke_config" "scheduler" {
  count = var.retry.asynchronous ? 1 : 0

  function_name                = aws_lambda_function.scheduler.function_name
  maximum_event_age_in_seconds = var.retry.age_seconds
  maximum_retry_attempts       = var.retry.async_retries
}

resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${local.function_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# The emitter's certificate. Terraform makes the place, people or a pipeline put the value there: a
# secret that Terraform knew would stand in its state.
resource "aws_secretsmanager_secret" "tls" {
  count = var.tls_secret == "create" ? 1 : 0

  name                    = "${var.name}/tls/emitter"
  description             = "Certificate of the scheduler towards managers: {\"ca\",\"cert\",\"key\"} in PEM"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}
