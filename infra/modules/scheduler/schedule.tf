# The clock: EventBridge Scheduler, its tries, and the queue of ticks that nobody took.

resource "aws_scheduler_schedule_group" "this" {
  name = var.name
}

resource "aws_scheduler_schedule" "tick" {
  name                = "${var.name}-tick"
  description         = "Every tick submits what has come due since the last one"
  group_name          = aws_scheduler_schedule_group.this.name
  schedule_expression = var.schedule_expression
  state               = var.schedule_enabled ? "ENABLED" : "DISABLED"
  kms_key_arn         = var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.scheduler.arn
    role_arn = aws_iam_role.schedule.arn
    input    = jsonencode({ kind = "tick" })

    retry_policy {
      maximum_retry_attempts       = var.retry.attempts
      maximum_event_age_in_seconds = var.retry.age_seconds
    }

    dead_letter_config {
      arn = aws_sqs_queue.missed.arn
    }
  }
}

# Ticks that were not delivered or not run. Nothing reads them back: the next tick catches up. An
# alarm on the queue's length tells that the schedule is not working.
resource "aws_sqs_queue" "missed" {
  name                              = "${var.name}-missed-ticks"
  message_retention_seconds         = 1209600
  sqs_managed_sse_enabled           = var.kms_key_arn == null ? true : null
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = var.kms_key_arn == null ? null : 3600
}
