# Two identities: the function's, and the schedule's, which may do nothing but call the function.

data "aws_caller_identity" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id

  function_statements = concat(
    [
      {
        Sid      = "ItsLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.function.arn}:*"]
      },
      {
        Sid      = "MissedTicks"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.missed.arn]
      },
    ],
    # Interfaces of a function have no name before they exist, so that none can be named here.
    var.vpc == null ? [] : [{
      Sid    = "InterfacesInTheVpc"
      Effect = "Allow"
      Action = [
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
      ]
      Resource = ["*"]
    }],
    var.tls_secret == null ? [] : [{
      Sid      = "ItsCertificate"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = [local.tls_secret_arn]
    }],
    var.kms_key_arn == null ? [] : [{
      Sid      = "TheKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = [var.kms_key_arn]
    }],
  )

  schedule_statements = concat(
    [
      {
        Sid      = "TheFunction"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [aws_lambda_function.scheduler.arn]
      },
      {
        Sid      = "MissedTicks"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.missed.arn]
      },
    ],
    var.kms_key_arn == null ? [] : [{
      Sid      = "TheKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = [var.kms_key_arn]
    }],
  )
}

resource "aws_iam_role" "function" {
  name        = "${var.name}-scheduler"
  description = "The scheduled Lambda of ${var.name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  name   = "function"
  role   = aws_iam_role.function.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.function_statements })
}

resource "aws_iam_role_policy" "registry" {
  name   = "registry"
  role   = aws_iam_role.function.id
  policy = var.registry_policy
}

resource "aws_iam_role" "schedule" {
  name        = "${var.name}-schedule"
  description = "EventBridge Scheduler, calling the scheduled Lambda of ${var.name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "schedule" {
  name   = "schedule"
  role   = aws_iam_role.schedule.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.schedule_statements })
}
