# Who may look at the database's machine, and who may log in.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name

  # Who may log in as which role.
  connect_policies = { for role in [var.role_name, var.gateway_role_name] : role => jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "LogInAsItsRole"
      Effect   = "Allow"
      Action   = ["rds-db:connect"]
      Resource = ["arn:${local.partition}:rds-db:${local.region}:${local.account}:dbuser:${aws_db_instance.this.resource_id}/${role}"]
    }]
  }) }
}

resource "aws_iam_role" "monitoring" {
  name        = "${var.name}-store-monitoring"
  description = "Metrics of the operating system below the database of ${var.name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

# What AWS's own AmazonRDSEnhancedMonitoringRole allows, on the one group that it writes.
resource "aws_iam_role_policy" "monitoring" {
  name = "monitoring"
  role = aws_iam_role.monitoring.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "TheGroup"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:PutRetentionPolicy"]
        Resource = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:RDSOSMetrics"]
      },
      {
        Sid      = "ItsStreams"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:PutLogEvents"]
        Resource = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:RDSOSMetrics:log-stream:*"]
      },
    ]
  })
}
