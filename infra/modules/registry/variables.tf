variable "table_name" {
  description = "Name of the table of dataset definitions; the table of their versions is named after it (`<table_name>-versions`)."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{3,246}$", var.table_name))
    error_message = "table_name must have 3 to 246 letters, digits, dots, hyphens and underscores (DynamoDB's limit of 255, less the suffix -versions)."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that both tables are encrypted with; null uses DynamoDB's AWS managed key (`alias/aws/dynamodb`), which is a KMS key, too."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key (not of an alias), or null."
  }
}

variable "deletion_protection" {
  description = "Whether the tables refuse to be deleted. Definitions of datasets are what people wrote: switch it off for a cluster that is thrown away, and nowhere else."
  type        = bool
  default     = true
}

variable "point_in_time_days" {
  description = "How many days back the tables can be restored to any second (point-in-time recovery); null is what AWS gives, 35."
  type        = number
  default     = null

  validation {
    condition     = var.point_in_time_days == null || try(var.point_in_time_days >= 1 && var.point_in_time_days <= 35, false)
    error_message = "point_in_time_days must lie within 1 and 35, or be null."
  }
}
