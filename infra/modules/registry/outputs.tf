output "table_name" {
  description = "Name of the table of definitions: ASSAY_REGISTRY_TABLE of the Lambda, of managers and of the command."
  value       = aws_dynamodb_table.definitions.name
}

output "table_arn" {
  description = "ARN of the table of definitions."
  value       = aws_dynamodb_table.definitions.arn
}

output "due_index_arn" {
  description = "ARN of the index of what is due next."
  value       = "${aws_dynamodb_table.definitions.arn}/index/due"
}

output "versions_table_name" {
  description = "Name of the table of every version of each definition."
  value       = aws_dynamodb_table.versions.name
}

output "versions_table_arn" {
  description = "ARN of the table of every version of each definition."
  value       = aws_dynamodb_table.versions.arn
}

output "tick_policy" {
  description = "IAM policy (JSON) of a process that runs the schedule: it reads what is due and marks what it has emitted."
  value       = local.tick_policy
}

output "author_policy" {
  description = "IAM policy (JSON) of a person or pipeline that registers datasets: puts, reads and retires definitions, and keeps their versions."
  value       = local.author_policy
}
