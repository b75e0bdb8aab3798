# AWS without the internet: S3 and DynamoDB by routes, the rest by interfaces in the private subnets.

locals {
  make_endpoints  = local.make || try(var.existing_vpc.make_endpoints, false)
  route_table_ids = local.make ? aws_route_table.private[*].id : try(var.existing_vpc.private_route_table_ids, [])
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = local.make_endpoints ? toset(["s3", "dynamodb"]) : toset([])

  vpc_id            = local.vpc_id
  service_name      = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = local.route_table_ids

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.make_endpoints ? var.interface_endpoints : toset([])

  vpc_id              = local.vpc_id
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = local.private_subnet_ids
  security_group_ids  = [aws_security_group.this["endpoints"].id]
  private_dns_enabled = true

  tags = { Name = "${var.name}-${each.key}" }
}
