output "function_name" {
  description = "Name of the function: what `assay schedule tick|list|explain` invokes."
  value       = aws_lambda_function.scheduler.function_name
}

output "function_arn" {
  description = "ARN of the function."
  value       = aws_lambda_function.scheduler.arn
}

output "function_role_arn" {
  description = "ARN of the role that the function runs as."
  value       = aws_iam_role.function.arn
}

output "log_group_name" {
  description = "Name of the function's log group."
  value       = aws_cloudwatch_log_group.function.name
}

output "missed_queue_name" {
  description = "Name of the queue of ticks that were not run; its length is alarmed on."
  value       = aws_sqs_queue.missed.name
}

output "missed_queue_arn" {
  description = "ARN of the queue of ticks that were not run."
  value       = aws_sqs_queue.missed.arn
}

output "schedule_name" {
  description = "Name of the schedule."
  value       = aws_scheduler_schedule.tick.name
}

output "schedule_group" {
  description = "Name of the schedule's group."
  value       = aws_scheduler_schedule_group.this.name
}

output "tls_secret_arn" {
  description = "ARN of the secret that holds the emitter's certificate, or null."
  value       = local.tls_secret_arn
}
