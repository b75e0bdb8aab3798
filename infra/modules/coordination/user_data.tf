# What a member's machine is told at its first start: files that are the same everywhere, and one of
# settings. No secret: the certificate is fetched by the machine's own identity.

locals {
  arch = { x86_64 = "amd64", arm64 = "arm64" }[var.architecture]

  settings = {
    for letter in local.letters : letter => join("\n", [
      "MEMBER=etcd-${letter}",
      "REGION=${data.aws_region.current.name}",
      "ARCHIVE=s3://${aws_s3_bucket.artifacts.bucket}/etcd/etcd-v${var.etcd_version}-linux-${local.arch}.tar.gz",
      "SHA256=${var.etcd_sha256}",
      "SECRET=${aws_secretsmanager_secret.member[letter].arn}",
      "VOLUME=${aws_ebs_volume.member[letter].id}",
      "ENDPOINT=https://${local.hosts[letter]}:2379",
      "PREFIX=/${var.name}",
      "",
    ])
  }

  configuration = {
    for letter in local.letters : letter => yamlencode({
      name                        = "etcd-${letter}"
      data-dir                    = "/var/lib/etcd/data"
      listen-client-urls          = "https://0.0.0.0:2379"
      advertise-client-urls       = "https://${local.hosts[letter]}:2379"
      listen-peer-urls            = "https://0.0.0.0:2380"
      initial-advertise-peer-urls = "https://${local.hosts[letter]}:2380"
      initial-cluster             = join(",", [for l in local.letters : "etcd-${l}=https://${local.hosts[l]}:2380"])
      initial-cluster-state       = contains(var.rejoining, letter) ? "existing" : "new"
      initial-cluster-token       = var.name
      heartbeat-interval          = 100
      election-timeout            = 1000
      auto-compaction-mode        = "periodic"
      auto-compaction-retention   = "1h"
      quota-backend-bytes         = 2147483648
      client-transport-security = {
        client-cert-auth = true
        trusted-ca-file  = "/etc/etcd/tls/ca.pem"
        cert-file        = "/etc/etcd/tls/cert.pem"
        key-file         = "/etc/etcd/tls/key.pem"
      }
      peer-transport-security = {
        client-cert-auth = true
        trusted-ca-file  = "/etc/etcd/tls/ca.pem"
        cert-file        = "/etc/etcd/tls/cert.pem"
        key-file         = "/etc/etcd/tls/key.pem"
      }
    })
  }

  user_data = {
    for letter in local.letters : letter => join("\n", ["#cloud-config", yamlencode({
      users = ["default", { name = "etcd", system = true, shell = "/sbin/nologin", no_create_home = true }]
      write_files = [
        { path = "/etc/etcd/member.env", permissions = "0644", content = local.settings[letter] },
        { path = "/etc/etcd/etcd.yaml", permissions = "0644", content = local.configuration[letter] },
        { path = "/usr/local/sbin/etcd-prepare", permissions = "0755", content = file("${path.module}/files/etcd-prepare") },
        { path = "/usr/local/sbin/etcd-restrict", permissions = "0755", content = file("${path.module}/files/etcd-restrict") },
        { path = "/etc/systemd/system/etcd.service", permissions = "0644", content = file("${path.module}/files/etcd.service") },
        { path = "/etc/systemd/system/etcd-certificate.service", permissions = "0644", content = file("${path.module}/files/etcd-certificate.service") },
        { path = "/etc/systemd/system/etcd-certificate.timer", permissions = "0644", content = file("${path.module}/files/etcd-certificate.timer") },
      ]
      runcmd = [
        ["systemctl", "daemon-reload"],
        ["systemctl", "enable", "--now", "--no-block", "etcd.service", "etcd-certificate.timer"],
      ]
    })])
  }
}
