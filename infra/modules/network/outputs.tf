output "vpc_id" {
  description = "Id of the VPC."
  value       = local.vpc_id
}

output "private_subnet_ids" {
  description = "Ids of the private subnets, one per zone."
  value       = local.private_subnet_ids
}

output "private_subnets" {
  description = "The private subnets with their zones."
  value       = [for i in range(3) : { id = local.private_subnet_ids[i], availability_zone = local.subnet_zones[i] }]
}

output "public_subnet_ids" {
  description = "Ids of the public subnets, where the load balancer stands."
  value       = local.public_subnet_ids
}

output "security_group_ids" {
  description = "Ids of the security groups by name: alb, gateway, manager, node, scheduler, etcd, store, collector, endpoints."
  value       = { for name, group in aws_security_group.this : name => group.id }
}

output "ports" {
  description = "Ports by name, as the security groups open them."
  value       = local.ports
}

output "namespace_id" {
  description = "Id of the private DNS namespace."
  value       = aws_service_discovery_private_dns_namespace.this.id
}

output "namespace_name" {
  description = "Name of the private DNS namespace, which names within the cluster end with."
  value       = aws_service_discovery_private_dns_namespace.this.name
}
