# The VPC: three zones, each with a private subnet, where everything runs, and a public one, where
# the load balancer (and a NAT gateway, if wanted) stands.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

data "aws_availability_zones" "available" {
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  make   = var.existing_vpc == null
  zones  = coalesce(var.availability_zones, slice(data.aws_availability_zones.available.names, 0, 3))
  region = data.aws_region.current.name

  # Of a /16: /20 for each private subnet, /24 for each public one, at the end.
  private_cidrs = [for i in range(3) : cidrsubnet(var.vpc_cidr, 4, i)]
  public_cidrs  = [for i in range(3) : cidrsubnet(cidrsubnet(var.vpc_cidr, 4, 15), 4, i)]

  vpc_id             = local.make ? one(aws_vpc.this[*].id) : var.existing_vpc.vpc_id
  private_subnet_ids = local.make ? aws_subnet.private[*].id : var.existing_vpc.private_subnet_ids
  public_subnet_ids  = local.make ? aws_subnet.public[*].id : var.existing_vpc.public_subnet_ids
  subnet_zones       = local.make ? local.zones : data.aws_subnet.existing[*].availability_zone

  nat_count = !local.make || var.nat == "none" ? 0 : var.nat == "one" ? 1 : 3
}

data "aws_subnet" "existing" {
  count = local.make ? 0 : 3

  id = var.existing_vpc.private_subnet_ids[count.index]
}

resource "aws_vpc" "this" {
  count = local.make ? 1 : 0

  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

# The group that a forgotten network interface falls into lets nothing in or out.
resource "aws_default_security_group" "closed" {
  count = local.make ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${var.name}-default-closed" }
}

resource "aws_subnet" "private" {
  count = local.make ? 3 : 0

  vpc_id                  = aws_vpc.this[0].id
  availability_zone       = local.zones[count.index]
  cidr_block              = local.private_cidrs[count.index]
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-private-${local.zones[count.index]}" }
}

resource "aws_subnet" "public" {
  count = local.make ? 3 : 0

  vpc_id                  = aws_vpc.this[0].id
  availability_zone       = local.zones[count.index]
  cidr_block              = local.public_cidrs[count.index]
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-public-${local.zones[count.index]}" }
}

resource "aws_internet_gateway" "this" {
  count = local.make ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = var.name }
}

resource "aws_route_table" "public" {
  count = local.make ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${var.name}-public" }
}

resource "aws_route" "internet" {
  count = local.make ? 1 : 0

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_route_table_association" "public" {
  count = local.make ? 3 : 0

  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public[0].id
}

# A table per zone, so that a zone's way out can be its own.
resource "aws_route_table" "private" {
  count = local.make ? 3 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${var.name}-private-${local.zones[count.index]}" }
}

resource "aws_route_table_association" "private" {
  count = local.make ? 3 : 0

  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private[count.index].id
}

resource "aws_eip" "nat" {
  count = local.nat_count

  domain = "vpc"

  tags = { Name = "${var.name}-nat-${count.index}" }
}

resource "aws_nat_gateway" "this" {
  count = local.nat_count

  allocation_id = aws_eip.nat[count.index].id
  subnet_id     = aws_subnet.public[count.index].id

  tags = { Name = "${var.name}-${local.zones[count.index]}" }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route" "nat" {
  count = local.nat_count == 0 ? 0 : 3

  route_table_id         = aws_route_table.private[count.index].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[min(count.index, local.nat_count - 1)].id
}

# Names within the cluster: managers, etcd's members, and what is scraped.
resource "aws_service_discovery_private_dns_namespace" "this" {
  name        = "${var.name}.internal"
  description = "Names within the cluster ${var.name}"
  vpc         = local.vpc_id
}
