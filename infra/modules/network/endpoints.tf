# AWS without the internet: S3 and DynamoDB by routes, the rest by interfaces in the private subnets.

locals {
  make_endpoints  = local.make || try(var.existing_vpc.make_endpoints, false)
  route_table_ids = local.make ? aws_route_table.private[*].id : try(var.existing_vpc.private_route_table_ids, [])
}

# An endpoint narrows what goes through it, whatever roles allow: calls of this account's identities,
# and the layers of images, which ECR hands out by addresses in a bucket of its own.
locals {
  account = data.aws_caller_identity.current.account_id

  of_this_account = {
    Sid       = "IdentitiesOfThisAccount"
    Effect    = "Allow"
    Principal = "*"
    Action    = "*"
    Resource  = "*"
    Condition = { StringEquals = { "aws:PrincipalAccount" = local.account } }
  }

  endpoint_policies = {
    s3 = jsonencode({
      Version = "2012-10-17"
      Statement = [
        local.of_this_account,
        {
          Sid       = "LayersOfImages"
          Effect    = "Allow"
          Principal = "*"
          Action    = "s3:GetObject"
          Resource  = "arn:${data.aws_partition.current.partition}:s3:::prod-${local.region}-starport-layer-bucket/*"
        },
      ]
    })
    others = jsonencode({
      Version   = "2012-10-17"
      Statement = [local.of_this_account]
    })
  }
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = local.make_endpoints ? toset(["s3", "dynamodb"]) : toset([])

  vpc_id            = local.vpc_id
  service_name      = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = local.route_table_ids
  policy            = each.key == "s3" ? local.endpoint_policies.s3 : local.endpoint_policies.others

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
  policy              = local.endpoint_policies.others

  tags = { Name = "${var.name}-${each.key}" }
}
