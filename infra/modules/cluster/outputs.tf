output "cluster_name" {
  description = "Name of the ECS cluster."
  value       = aws_ecs_cluster.this.name
}

output "cluster_arn" {
  description = "ARN of the ECS cluster."
  value       = aws_ecs_cluster.this.arn
}

output "manager_host" {
  description = "Host name of the managers: in their certificate, and what it is checked for (ASSAY_TLS_SERVER_NAME)."
  value       = local.manager_host
}

output "managers" {
  description = "Address of the managers: ASSAY_MANAGERS of the scheduler, of gateways and of the command."
  value       = local.managers
}

output "node_host" {
  description = "Host name that resolves to all data nodes."
  value       = "node.${var.namespace.name}"
}

output "repository_urls" {
  description = "URLs of the repositories of images by name."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.repository_url }
}

output "repository_arns" {
  description = "ARNs of the repositories of images by name."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.arn }
}

output "tls_secret_arns" {
  description = "ARNs of the secrets of certificates: manager and node."
  value       = { for name, secret in aws_secretsmanager_secret.tls : name => secret.arn }
}

output "service_names" {
  description = "Names of the services."
  value       = { manager = aws_ecs_service.manager.name, node = aws_ecs_service.node.name }
}

output "log_group_names" {
  description = "Names of the log groups."
  value = {
    manager    = module.manager.log_group_name
    node       = module.node.log_group_name
    store_init = module.store_init.log_group_name
  }
}

output "store_init_task" {
  description = "Task definition that makes the database's role."
  value       = module.store_init.family
}

output "task_role_arns" {
  description = "ARNs of the roles that managers and data nodes run as."
  value       = { manager = module.manager.task_role_arn, node = module.node.task_role_arn }
}
