variable "name" {
  description = "Name of the cluster; every resource of this module begins with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
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

variable "table_name" {
  description = "Name of the registry's table."
  type        = string

  validation {
    condition     = length(var.table_name) >= 3
    error_message = "table_name must be the name of a DynamoDB table."
  }
}

variable "registry_policy" {
  description = "IAM policy (JSON) that lets the function read what is due and mark it: output tick_policy of the module registry."
  type        = string

  validation {
    condition     = can(jsondecode(var.registry_policy).Statement)
    error_message = "registry_policy must be an IAM policy in JSON."
  }
}

variable "managers" {
  description = "Addresses of the managers, with commas between (https://host:port). Left empty only where lambda_environment names them."
  type        = string
  default     = ""

  validation {
    condition     = var.managers == "" || alltrue([for m in split(",", var.managers) : can(regex("^https?://[^/,\\s]+:[0-9]+$", m))])
    error_message = "managers must be a list of https://host:port with commas between."
  }
}

variable "tls_server_name" {
  description = "Name that the managers' certificates are checked for, whatever address they are reached at; empty leaves it to the address."
  type        = string
  default     = ""

  validation {
    condition     = var.tls_server_name == "" || can(regex("^[A-Za-z0-9.-]+$", var.tls_server_name))
    error_message = "tls_server_name must be a host name."
  }
}

variable "tls_secret" {
  description = "Where the emitter's certificate comes from: `create` makes a secret without a value, which is filled by hand with {\"ca\",\"cert\",\"key\"}; the ARN of a secret uses that one; null has none (plain http, which the function speaks to loopback only)."
  type        = string
  default     = "create"

  validation {
    condition     = var.tls_secret == null || var.tls_secret == "create" || can(regex("^arn:[a-z-]+:secretsmanager:", var.tls_secret))
    error_message = "tls_secret must be create, the ARN of a secret, or null."
  }
}

variable "lambda_environment" {
  description = "Further variables of the function's environment, which win over those of this module. Never a secret: the environment stands in Terraform's state."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for k in keys(var.lambda_environment) : can(regex("^[A-Za-z][A-Za-z0-9_]*$", k))])
    error_message = "lambda_environment: a name has letters, digits and underscores only, and begins with a letter."
  }

  validation {
    condition     = alltrue([for k in keys(var.lambda_environment) : !can(regex("(?i)password|private_key", k))])
    error_message = "lambda_environment must not hold a password or a private key: put it into a secret, and its ARN here."
  }
}

variable "log_level" {
  description = "ASSAY_LOG of the function: error, warn, info, debug or trace."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["error", "warn", "info", "debug", "trace"], var.log_level)
    error_message = "log_level must be error, warn, info, debug or trace."
  }
}

variable "schedule_expression" {
  description = "How often the function runs. What is due does not depend on it: a tick catches up with all that came due since the last one."
  type        = string
  default     = "rate(1 minutes)"

  validation {
    condition     = can(regex("^(rate|cron)\\(.+\\)$", var.schedule_expression))
    error_message = "schedule_expression must be rate(...) or cron(...)."
  }
}

variable "schedule_enabled" {
  description = "Whether the schedule fires. Off while a cluster is restored beside a live one."
  type        = bool
  default     = true
}

variable "vpc" {
  description = "Private subnets and security groups of the function; null runs it outside of a VPC, from where it reaches no private manager."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null

  validation {
    condition     = var.vpc == null || try(length(var.vpc.subnet_ids) > 0 && length(var.vpc.security_group_ids) > 0, false)
    error_message = "vpc must name at least one subnet and one security group."
  }
}

variable "memory_mb" {
  description = "Memory of the function in MB; its share of a core grows with it."
  type        = number
  default     = 256

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "memory_mb must lie within 128 and 10240."
  }
}

variable "timeout_s" {
  description = "Seconds that one tick may take. What it does not get to, the next tick does."
  type        = number
  default     = 50

  validation {
    condition     = var.timeout_s >= 5 && var.timeout_s <= 900
    error_message = "timeout_s must lie within 5 and 900."
  }
}

variable "concurrency_max" {
  description = "How many ticks may run at once. Ticks at the same time are harmless (a slot has one run), only wasteful. -1 sets no bound: for accounts whose own limit of concurrent executions is below 102, of which none can be reserved."
  type        = number
  default     = 2

  validation {
    condition     = var.concurrency_max == -1 || var.concurrency_max >= 1
    error_message = "concurrency_max must be -1 or at least 1."
  }
}

variable "retry" {
  description = "How long, and how many times, EventBridge Scheduler tries to hand over one tick before it goes to the dead-letter queue. Short, because the next tick does the same work."
  type = object({
    attempts      = number
    age_seconds   = number
    asynchronous  = optional(bool, true)
    async_retries = optional(number, 1)
  })
  default = {
    attempts    = 3
    age_seconds = 300
  }

  validation {
    condition     = var.retry.attempts >= 0 && var.retry.attempts <= 185
    error_message = "retry.attempts must lie within 0 and 185."
  }

  validation {
    condition     = var.retry.age_seconds >= 60 && var.retry.age_seconds <= 21600
    error_message = "retry.age_seconds must lie within 60 and 21600."
  }

  validation {
    condition     = contains([0, 1, 2], var.retry.async_retries)
    error_message = "retry.async_retries must be 0, 1 or 2."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key for the function's environment, its log, its secret and the dead-letter queue; null uses keys of AWS."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key (not of an alias), or null."
  }
}

variable "log_retention_days" {
  description = "Days that the function's log is kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of the periods that CloudWatch Logs knows (1, 3, 5, 7, 14, 30, 60, 90, ...)."
  }
}

variable "secret_recovery_days" {
  description = "Days within which a deleted secret can be recovered; 0 deletes at once (a cluster that is thrown away)."
  type        = number
  default     = 7

  validation {
    condition     = var.secret_recovery_days == 0 || (var.secret_recovery_days >= 7 && var.secret_recovery_days <= 30)
    error_message = "secret_recovery_days must be 0 or lie within 7 and 30."
  }
}
