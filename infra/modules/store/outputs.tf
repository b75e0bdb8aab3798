output "host" {
  description = "Host name of the database."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "Port of the database."
  value       = aws_db_instance.this.port
}

output "identifier" {
  description = "Identifier of the instance: the dimension of its CloudWatch metrics."
  value       = aws_db_instance.this.identifier
}

output "database_name" {
  description = "Name of the database."
  value       = var.database_name
}

output "role_name" {
  description = "Name of the role that processes log in as."
  value       = var.role_name
}

output "admin_name" {
  description = "Name of the administrator."
  value       = var.admin_name
}

output "admin_secret_arn" {
  description = "ARN of the secret in which RDS keeps the administrator's name and password."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}

output "connect_policy" {
  description = "IAM policy (JSON) of a process that logs in as the role."
  value       = local.connect_policies[var.role_name]
}

output "gateway_role_name" {
  description = "Name of the role that gateways log in as: it reads, and appends to the audit log."
  value       = var.gateway_role_name
}

output "gateway_connect_policy" {
  description = "IAM policy (JSON) of a gateway, which logs in as its role."
  value       = local.connect_policies[var.gateway_role_name]
}

output "role_sql" {
  description = "What the administrator runs once: the role that processes log in as by IAM, and that owns the schema, and the one of gateways."
  value       = local.role_sql
}
