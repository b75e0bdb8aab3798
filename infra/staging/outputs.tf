output "url" {
  description = "Name of the load balancer: point the public name to it."
  value       = module.gateway.dns_name
}

output "managers" {
  description = "Address of the managers within the VPC."
  value       = module.cluster.managers
}

output "manager_host" {
  description = "Host name that the managers' certificate must hold."
  value       = module.cluster.manager_host
}

output "registry_table" {
  description = "Name of the registry's table."
  value       = module.registry.table_name
}

output "author_policy" {
  description = "IAM policy (JSON) for people and pipelines that register datasets with identities of their own."
  value       = module.registry.author_policy
}

output "scheduler_function" {
  description = "Name of the scheduled Lambda."
  value       = module.scheduler.function_name
}

output "repository_urls" {
  description = "Where images are pushed to, by name."
  value       = module.cluster.repository_urls
}

output "artifacts_bucket" {
  description = "Where etcd's release is uploaded to, as etcd/etcd-v<version>-linux-<arch>.tar.gz."
  value       = module.coordination.artifacts_bucket
}

output "etcd_hosts" {
  description = "Host names of etcd's members by letter: what their certificates must hold."
  value       = module.coordination.hosts
}

output "certificate_secrets" {
  description = "Secrets that wait for certificates, by who shows them: a value is {\"ca\",\"cert\",\"key\"} in PEM."
  value = merge(
    module.cluster.tls_secret_arns,
    { gateway = module.gateway.tls_secret_arn, emitter = module.scheduler.tls_secret_arn, etcd-client = module.coordination.client_secret_arn },
    { for letter, arn in module.coordination.member_secret_arns : "etcd-${letter}" => arn },
  )
}

output "tokens_secret" {
  description = "Secret that waits for the tokens that gateways take: the file of `assay token new`."
  value       = module.gateway.tokens_secret_arn
}

output "store_init" {
  description = "What `aws ecs run-task` needs to make the database's roles, once."
  value = {
    cluster         = module.cluster.cluster_name
    task_definition = module.cluster.store_init_task
    subnets         = module.network.private_subnet_ids
    security_groups = [module.network.security_group_ids["manager"]]
  }
}

output "cluster_name" {
  description = "Name of the ECS cluster."
  value       = module.cluster.cluster_name
}

output "service_names" {
  description = "Names of the services in the ECS cluster."
  value       = merge(module.cluster.service_names, { gateway = module.gateway.service_name })
}

output "store_identifier" {
  description = "Identifier of the database instance."
  value       = module.store.identifier
}

output "alarm_topic_arn" {
  description = "ARN of the topic that alarms go to."
  value       = module.observability.alarm_topic_arn
}

output "incident_topic_arn" {
  description = "ARN of the topic that incidents of data go to."
  value       = module.observability.incident_topic_arn
}

output "prometheus_endpoint" {
  description = "Endpoint that a Grafana asks for series, or null."
  value       = module.observability.prometheus_endpoint
}
