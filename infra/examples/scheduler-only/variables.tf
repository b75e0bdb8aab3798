variable "name" {
  description = "Name that the function, its schedule and its roles begin with."
  type        = string
  default     = "assay-example"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "region" {
  description = "Region of AWS."
  type        = string
  default     = "eu-central-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be a region of AWS, like eu-central-1."
  }
}

variable "table_name" {
  description = "Name of the registry's table; the table of versions is `<table_name>-versions`."
  type        = string
  default     = "assay-example-datasets"

  validation {
    condition     = length(var.table_name) >= 3
    error_message = "table_name must have at least 3 characters."
  }
}

variable "lambda_zip" {
  description = "Path of the zip that holds `bootstrap`, as built by infra/lambda/build."
  type        = string

  validation {
    condition     = endswith(var.lambda_zip, ".zip")
    error_message = "lambda_zip must be the path of a .zip file."
  }
}

variable "architecture" {
  description = "Architecture that the zip was built for: x86_64 or arm64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}

variable "lambda_environment" {
  description = "Further variables of the function's environment: ASSAY_MANAGERS at least, where the managers are."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for k in keys(var.lambda_environment) : can(regex("^[A-Za-z][A-Za-z0-9_]*$", k))])
    error_message = "lambda_environment: a name has letters, digits and underscores only, and begins with a letter."
  }
}

variable "lambda_extra_env" {
  description = "Variables of the function's environment that a stand-in for AWS needs and AWS itself does not (AWS_ENDPOINT_URL)."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for k in keys(var.lambda_extra_env) : can(regex("^[A-Za-z][A-Za-z0-9_]*$", k))])
    error_message = "lambda_extra_env: a name has letters, digits and underscores only, and begins with a letter."
  }
}

variable "schedule_expression" {
  description = "How often the function runs."
  type        = string
  default     = "rate(1 minutes)"

  validation {
    condition     = can(regex("^(rate|cron)\\(.+\\)$", var.schedule_expression))
    error_message = "schedule_expression must be rate(...) or cron(...)."
  }
}

variable "deletion_protection" {
  description = "Whether the tables refuse to be deleted."
  type        = bool
  default     = false
}
