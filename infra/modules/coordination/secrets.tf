# Places for certificates. Terraform makes them without a value: `assay cluster certs` makes the
# certificates, and people or a pipeline put them here as {"ca","cert","key"} in PEM.

resource "aws_secretsmanager_secret" "member" {
  for_each = local.members

  name                    = "${var.name}/tls/etcd-${each.key}"
  description             = "Certificate of etcd-${each.key}, for clients and its peers: {\"ca\",\"cert\",\"key\"} in PEM, for ${local.hosts[each.key]}"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}

resource "aws_secretsmanager_secret" "client" {
  name                    = "${var.name}/tls/etcd-client"
  description             = "Certificate of managers and data nodes towards etcd: {\"ca\",\"cert\",\"key\"} in PEM"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}
