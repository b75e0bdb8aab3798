# The registry of datasets: the current definition of each, its earlier versions, and the sparse
# index by which a tick of the scheduler finds what is due without reading the table.

resource "aws_dynamodb_table" "definitions" {
  name                        = var.table_name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "id"
    type = "S"
  }

  # "0" to "7": spreads what is due over partitions. Absent, with due_at, when nothing is ever due.
  attribute {
    name = "due_shard"
    type = "S"
  }

  # RFC 3339 in UTC and of fixed width, so that order of text is order of time.
  attribute {
    name = "due_at"
    type = "S"
  }

  global_secondary_index {
    name            = "due"
    hash_key        = "due_shard"
    range_key       = "due_at"
    projection_type = "KEYS_ONLY"
  }

  point_in_time_recovery {
    enabled                 = true
    recovery_period_in_days = var.point_in_time_days
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}

resource "aws_dynamodb_table" "versions" {
  name                        = "${var.table_name}-versions"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  range_key                   = "revision"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "id"
    type = "S"
  }

  attribute {
    name = "revision"
    type = "N"
  }

  point_in_time_recovery {
    enabled                 = true
    recovery_period_in_days = var.point_in_time_days
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}
