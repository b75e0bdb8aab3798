output "managers" {
  description = "Address of the managers within the VPC."
  value       = module.cluster.managers
}

output "registry_table" {
  description = "Name of the registry's table."
  value       = module.registry.table_name
}

output "repository_urls" {
  description = "Where images are pushed to, by name."
  value       = module.cluster.repository_urls
}

output "artifacts_bucket" {
  description = "Where etcd's release is uploaded to."
  value       = module.coordination.artifacts_bucket
}

output "etcd_configuration" {
  description = "Configuration (YAML) that etcd's members are started with, by letter."
  value       = module.coordination.configuration
}
