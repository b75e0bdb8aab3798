output "function_name" {
  description = "Name of the function."
  value       = module.scheduler.function_name
}

output "log_group_name" {
  description = "Name of the function's log group."
  value       = module.scheduler.log_group_name
}

output "table_name" {
  description = "Name of the registry's table."
  value       = module.registry.table_name
}

output "missed_queue_name" {
  description = "Name of the queue of ticks that were not run."
  value       = module.scheduler.missed_queue_name
}
