# What callers of the tables may do, as documents for the roles of those callers.

locals {
  # A table that is encrypted with a key of one's own wants the caller to have rights on that key;
  # the condition holds it to calls that DynamoDB makes for the caller.
  key_statements = var.kms_key_arn == null ? [] : [{
    Sid    = "TheKeyOfTheTables"
    Effect = "Allow"
    Action = [
      "kms:Decrypt",
      "kms:DescribeKey",
      "kms:Encrypt",
      "kms:GenerateDataKey",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
    ]
    Resource  = [var.kms_key_arn]
    Condition = { StringLike = { "kms:ViaService" = "dynamodb.*.amazonaws.com" } }
  }]

  tick_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "WhatIsDue"
        Effect   = "Allow"
        Action   = ["dynamodb:Query"]
        Resource = ["${aws_dynamodb_table.definitions.arn}/index/due"]
      },
      {
        Sid    = "ReadAndMark"
        Effect = "Allow"
        Action = [
          "dynamodb:BatchGetItem",
          "dynamodb:DescribeTable",
          "dynamodb:GetItem",
          "dynamodb:UpdateItem",
        ]
        Resource = [aws_dynamodb_table.definitions.arn]
      },
    ], local.key_statements)
  })

  author_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid    = "Definitions"
        Effect = "Allow"
        Action = [
          "dynamodb:BatchGetItem",
          "dynamodb:ConditionCheckItem",
          "dynamodb:DescribeTable",
          "dynamodb:GetItem",
          "dynamodb:PutItem",
          "dynamodb:Query",
          "dynamodb:Scan",
          "dynamodb:UpdateItem",
        ]
        Resource = [
          aws_dynamodb_table.definitions.arn,
          "${aws_dynamodb_table.definitions.arn}/index/due",
        ]
      },
      {
        Sid    = "Versions"
        Effect = "Allow"
        Action = [
          "dynamodb:DescribeTable",
          "dynamodb:GetItem",
          "dynamodb:PutItem",
          "dynamodb:Query",
        ]
        Resource = [aws_dynamodb_table.versions.arn]
      },
    ], local.key_statements)
  })
}
