# Three members of etcd in three zones. What makes a member a member outlives its machine: the
# interface with its address, the name, the volume with its data, the secret with its certificate.

data "aws_ssm_parameter" "image" {
  count = var.ami_id == null ? 1 : 0

  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${var.architecture}"
}

locals {
  letters = ["a", "b", "c"]
  members = { for i, letter in local.letters : letter => var.members[i] }
  image   = var.ami_id != null ? var.ami_id : one(data.aws_ssm_parameter.image[*].insecure_value)

  hosts     = { for letter in local.letters : letter => "etcd-${letter}.${var.namespace.name}" }
  endpoints = [for letter in local.letters : "https://${local.hosts[letter]}:2379"]
}

resource "aws_network_interface" "member" {
  for_each = local.members

  subnet_id       = each.value.id
  security_groups = [var.vpc_security_group_id]
  description     = "etcd-${each.key} of ${var.name}"

  tags = { Name = "${var.name}-etcd-${each.key}" }
}

resource "aws_ebs_volume" "member" {
  for_each = local.members

  availability_zone = each.value.availability_zone
  size              = var.volume_gb
  type              = "gp3"
  encrypted         = true
  kms_key_id        = var.kms_key_arn
  final_snapshot    = var.keep_on_destroy

  tags = { Name = "${var.name}-etcd-${each.key}" }
}

resource "aws_instance" "member" {
  for_each = local.members

  ami                  = local.image
  instance_type        = var.instance_type
  iam_instance_profile = aws_iam_instance_profile.member[each.key].name
  ebs_optimized        = true
  monitoring           = true
  user_data            = local.user_data[each.key]

  network_interface {
    device_index         = 0
    network_interface_id = aws_network_interface.member[each.key].id
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = 16
    encrypted   = true
    kms_key_id  = var.kms_key_arn

    tags = { Name = "${var.name}-etcd-${each.key}-root" }
  }

  # Credentials of the machine are for the machine: no container or proxy on it reaches them.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  tags = { Name = "${var.name}-etcd-${each.key}", Zone = each.value.availability_zone }

  # A change of image or of what a member is started with must not stop all three at once. It
  # reaches a member when that one is replaced (`terraform apply -replace=...`), one after another.
  lifecycle {
    ignore_changes = [ami, user_data]
  }
}

resource "aws_volume_attachment" "member" {
  for_each = local.members

  device_name                    = "/dev/sdf"
  volume_id                      = aws_ebs_volume.member[each.key].id
  instance_id                    = aws_instance.member[each.key].id
  stop_instance_before_detaching = true
}

resource "aws_service_discovery_service" "member" {
  for_each = local.members

  name = "etcd-${each.key}"

  dns_config {
    namespace_id = var.namespace.id

    dns_records {
      type = "A"
      ttl  = 60
    }
  }
}

resource "aws_service_discovery_instance" "member" {
  for_each = local.members

  instance_id = "etcd-${each.key}"
  service_id  = aws_service_discovery_service.member[each.key].id

  attributes = {
    AWS_INSTANCE_IPV4 = aws_network_interface.member[each.key].private_ip
  }
}
