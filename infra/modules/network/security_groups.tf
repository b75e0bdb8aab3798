# Who may talk to whom: one table, and nothing else. Each line becomes a rule that lets the caller
# out and a rule that lets it in, both naming the other's group. No rule names a network but the
# load balancer's 443, and what var.extra_egress adds.

locals {
  groups = {
    alb       = "The load balancer: the only door to the internet"
    gateway   = "Gateways: HTTP behind the load balancer"
    manager   = "Managers: gRPC for nodes, gateways, the scheduler and each other"
    node      = "Data nodes"
    scheduler = "The scheduled Lambda"
    etcd      = "Members of etcd"
    store     = "Postgres"
    collector = "The collector of series"
    endpoints = "Interfaces of AWS services"
  }

  ports = {
    gateway           = 8080
    gateway_telemetry = 9171
    manager           = 8081
    manager_telemetry = 9181
    node_probe        = 9190
    node_telemetry    = 9191
    etcd              = 2379
    etcd_peer         = 2380
    store             = 5432
    https             = 443
  }

  calls = [
    { from = "alb", to = "gateway", port = "gateway", why = "requests and health checks" },
    { from = "gateway", to = "manager", port = "manager", why = "commands and questions" },
    { from = "node", to = "manager", port = "manager", why = "the stream of tasks and results" },
    { from = "scheduler", to = "manager", port = "manager", why = "runs that are due" },
    { from = "manager", to = "manager", port = "manager", why = "a standby watches its leader" },
    { from = "manager", to = "node", port = "node_probe", why = "whether a silent node is dead" },
    { from = "manager", to = "etcd", port = "etcd", why = "leadership and configuration" },
    { from = "node", to = "etcd", port = "etcd", why = "the lease of the node" },
    { from = "etcd", to = "etcd", port = "etcd_peer", why = "replication among members" },
    { from = "manager", to = "store", port = "store", why = "the state of record" },
    { from = "node", to = "store", port = "store", why = "results and history" },
    { from = "gateway", to = "store", port = "store", why = "reads, and the audit log" },
    { from = "collector", to = "manager", port = "manager_telemetry", why = "series of managers" },
    { from = "collector", to = "node", port = "node_telemetry", why = "series of data nodes" },
    { from = "collector", to = "gateway", port = "gateway_telemetry", why = "series of gateways" },
    { from = "gateway", to = "endpoints", port = "https", why = "services of AWS" },
    { from = "manager", to = "endpoints", port = "https", why = "services of AWS" },
    { from = "node", to = "endpoints", port = "https", why = "services of AWS" },
    { from = "scheduler", to = "endpoints", port = "https", why = "services of AWS" },
    { from = "etcd", to = "endpoints", port = "https", why = "services of AWS" },
    { from = "collector", to = "endpoints", port = "https", why = "services of AWS" },
  ]

  edges = { for c in local.calls : "${c.from}-${c.to}-${c.port}" => c }

  # S3 and DynamoDB are reached by a route, not by an interface: their addresses are a list of AWS.
  # A container's layers lie in S3, so that each task needs it.
  by_route = {
    manager-s3         = { from = "manager", list = "s3", why = "layers of its image" }
    manager-dynamodb   = { from = "manager", list = "dynamodb", why = "the registry" }
    node-s3            = { from = "node", list = "s3", why = "data that is checked, layers of its image" }
    gateway-s3         = { from = "gateway", list = "s3", why = "layers of its image" }
    gateway-dynamodb   = { from = "gateway", list = "dynamodb", why = "the registry" }
    collector-s3       = { from = "collector", list = "s3", why = "layers of its image" }
    scheduler-dynamodb = { from = "scheduler", list = "dynamodb", why = "the registry" }
    etcd-s3            = { from = "etcd", list = "s3", why = "etcd's own program, and packages of its system" }
  }
}

data "aws_ec2_managed_prefix_list" "service" {
  for_each = toset(["s3", "dynamodb"])

  name = "com.amazonaws.${local.region}.${each.key}"
}

resource "aws_security_group" "this" {
  for_each = local.groups

  name        = "${var.name}-${each.key}"
  description = each.value
  vpc_id      = local.vpc_id

  tags = { Name = "${var.name}-${each.key}" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "call" {
  for_each = local.edges

  security_group_id            = aws_security_group.this[each.value.to].id
  referenced_security_group_id = aws_security_group.this[each.value.from].id
  ip_protocol                  = "tcp"
  from_port                    = local.ports[each.value.port]
  to_port                      = local.ports[each.value.port]
  description                  = "from ${each.value.from}: ${each.value.why}"
}

resource "aws_vpc_security_group_egress_rule" "call" {
  for_each = local.edges

  security_group_id            = aws_security_group.this[each.value.from].id
  referenced_security_group_id = aws_security_group.this[each.value.to].id
  ip_protocol                  = "tcp"
  from_port                    = local.ports[each.value.port]
  to_port                      = local.ports[each.value.port]
  description                  = "to ${each.value.to}: ${each.value.why}"
}

resource "aws_vpc_security_group_egress_rule" "by_route" {
  for_each = local.by_route

  security_group_id = aws_security_group.this[each.value.from].id
  prefix_list_id    = data.aws_ec2_managed_prefix_list.service[each.value.list].id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  description       = "to ${each.value.list}: ${each.value.why}"
}

resource "aws_vpc_security_group_ingress_rule" "public" {
  for_each = toset(var.alb_ingress_cidrs)

  security_group_id = aws_security_group.this["alb"].id
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  description       = "from ${each.key}: users, by HTTPS"
}

resource "aws_vpc_security_group_egress_rule" "extra" {
  for_each = var.extra_egress

  security_group_id            = aws_security_group.this[each.value.from].id
  referenced_security_group_id = each.value.security_group_id
  cidr_ipv4                    = each.value.cidr_ipv4
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  description                  = each.value.description
}
