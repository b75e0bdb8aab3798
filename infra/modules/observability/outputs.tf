output "incident_topic_arn" {
  description = "ARN of the topic that incidents of data are published to."
  value       = aws_sns_topic.incidents.arn
}

output "alarm_topic_arn" {
  description = "ARN of the topic that alarms of the cluster go to."
  value       = aws_sns_topic.alarms.arn
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = sort([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name])
}

output "dashboard_name" {
  description = "Name of the dashboard of CloudWatch."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "prometheus_workspace_id" {
  description = "Id of the workspace of Amazon Managed Prometheus, or null."
  value       = one(aws_prometheus_workspace.this[*].id)
}

output "prometheus_endpoint" {
  description = "Endpoint of the workspace: what a Grafana asks, or null."
  value       = one(aws_prometheus_workspace.this[*].prometheus_endpoint)
}

output "scrape_config" {
  description = "Configuration (YAML) by which a Prometheus of one's own in the VPC scrapes the cluster."
  value       = yamlencode(local.scrape)
}

output "alerts" {
  description = "Alert rules (YAML) for a Prometheus of one's own."
  value       = local.alerts
}
