output "managers" {
  description = "Address of the managers within the VPC."
  value       = module.cluster.managers
}

output "security_group_ids" {
  description = "Security groups by name: `manager` and `node` are those that etcd and Postgres have to let in."
  value       = module.network.security_group_ids
}

output "registry_table" {
  description = "Name of the registry's table."
  value       = module.registry.table_name
}
