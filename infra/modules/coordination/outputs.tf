output "endpoints" {
  description = "Addresses of the members: ASSAY_ETCD of managers and data nodes."
  value       = local.endpoints
}

output "hosts" {
  description = "Host names of the members by letter: what their certificates must hold."
  value       = local.hosts
}

output "instance_ids" {
  description = "Ids of the members' machines by letter."
  value       = { for letter, instance in aws_instance.member : letter => instance.id }
}

output "volume_ids" {
  description = "Ids of the members' volumes by letter."
  value       = { for letter, volume in aws_ebs_volume.member : letter => volume.id }
}

output "member_secret_arns" {
  description = "ARNs of the secrets of the members' certificates by letter."
  value       = { for letter, secret in aws_secretsmanager_secret.member : letter => secret.arn }
}

output "client_secret_arn" {
  description = "ARN of the secret of the certificate that managers and data nodes show to etcd."
  value       = aws_secretsmanager_secret.client.arn
}

output "artifacts_bucket" {
  description = "Name of the bucket that etcd's release is uploaded to, as etcd/etcd-v<version>-linux-<arch>.tar.gz."
  value       = aws_s3_bucket.artifacts.bucket
}

output "configuration" {
  description = "Configuration (YAML) that the members are started with, by letter. It holds no secret."
  value       = local.configuration
}
