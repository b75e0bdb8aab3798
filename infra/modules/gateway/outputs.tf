output "dns_name" {
  description = "Name of the load balancer: what the record of the public name points to."
  value       = aws_lb.this.dns_name
}

output "zone_id" {
  description = "Route 53 zone of the load balancer's name, for an alias record."
  value       = aws_lb.this.zone_id
}

output "load_balancer_arn" {
  description = "ARN of the load balancer."
  value       = aws_lb.this.arn
}

output "load_balancer_suffix" {
  description = "The load balancer as a dimension of CloudWatch metrics."
  value       = aws_lb.this.arn_suffix
}

output "target_group_suffix" {
  description = "The target group as a dimension of CloudWatch metrics."
  value       = aws_lb_target_group.gateway.arn_suffix
}

output "service_name" {
  description = "Name of the service."
  value       = aws_ecs_service.gateway.name
}

output "log_group_name" {
  description = "Name of the log group."
  value       = module.gateway.log_group_name
}

output "tokens_secret_arn" {
  description = "ARN of the secret of the tokens that gateways take."
  value       = aws_secretsmanager_secret.tokens.arn
}

output "tls_secret_arn" {
  description = "ARN of the secret of the gateways' certificate."
  value       = aws_secretsmanager_secret.tls.arn
}
