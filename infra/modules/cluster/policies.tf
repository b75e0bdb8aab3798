# What running tasks may do beyond logging in to the store.

locals {
  # Listing is asked of a bucket, with the prefixes as a condition; reading, of objects.
  source_prefixes = { for arn in var.sources.object_arns : arn => {
    bucket = split("/", arn)[0]
    prefix = join("/", slice(split("/", arn), 1, length(split("/", arn))))
  } }

  source_buckets = { for source in values(local.source_prefixes) : source.bucket => source.prefix... }

  source_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "ReadObjects"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = var.sources.object_arns
      }],
      [for bucket, prefixes in local.source_buckets : {
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = [bucket]
        Condition = { StringLike = { "s3:prefix" = prefixes } }
      }],
      length(var.sources.kms_key_arns) == 0 ? [] : [{
        Sid      = "KeysOfObjects"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = var.sources.kms_key_arns
      }],
    )
  })

  incident_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "PublishIncidents"
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = [var.incident_topic_arn]
      }],
      var.kms_key_arn == null ? [] : [{
        Sid      = "TheKeyOfTheTopic"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [var.kms_key_arn]
      }],
    )
  })
}
