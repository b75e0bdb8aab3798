variable "name" {
  description = "Name of the cluster; the role, the log group and the task family begin with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "service" {
  description = "Short name of what the task runs: manager, datanode, gateway, ..."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.service))
    error_message = "service must have 2 to 21 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "image" {
  description = "Image with its tag or digest."
  type        = string

  validation {
    condition     = can(regex("^[^\\s]+(:|@sha256:)[^\\s:]+$", var.image)) && !endswith(var.image, ":latest")
    error_message = "image must have a tag or a digest, and the tag must not be latest: it says nothing about what runs."
  }
}

variable "repository_arn" {
  description = "ARN of the ECR repository that the image lies in."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:ecr:", var.repository_arn))
    error_message = "repository_arn must be the ARN of an ECR repository."
  }
}

variable "architecture" {
  description = "Architecture of the image: x86_64 or arm64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}

variable "cpu" {
  description = "CPU of a task in units of 1/1024 of a core: one of Fargate's sizes."
  type        = number

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "cpu must be 256, 512, 1024, 2048, 4096, 8192 or 16384."
  }
}

variable "memory_mb" {
  description = "Memory of a task in MB. Fargate wants 2 to 8 times the CPU units, and 512 at least."
  type        = number

  validation {
    condition     = var.memory_mb >= 512 && var.memory_mb >= 2 * var.cpu && var.memory_mb <= max(8 * var.cpu, 2048)
    error_message = "memory_mb must be 2 to 8 times cpu (up to 2048 with a cpu of 256)."
  }
}

variable "ephemeral_gb" {
  description = "Disk of a task in GB, which goes with it."
  type        = number
  default     = 21

  validation {
    condition     = var.ephemeral_gb >= 21 && var.ephemeral_gb <= 200
    error_message = "ephemeral_gb must lie within 21 and 200."
  }
}

variable "command" {
  description = "Command of the container; null takes the image's own."
  type        = list(string)
  default     = null

  validation {
    condition     = var.command == null || try(length(var.command) > 0, false)
    error_message = "command must have at least one word, or be null."
  }
}

variable "environment" {
  description = "Environment of the container. Never a secret."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for k in keys(var.environment) : !can(regex("(?i)password$|private_key", k))])
    error_message = "environment must not hold a password or a private key: that is what secrets are for."
  }
}

variable "secrets" {
  description = "Environment that ECS fills from Secrets Manager: name => ARN, or ARN:key::."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for s in values(var.secrets) : can(regex("^arn:[a-z-]+:(secretsmanager|ssm):", s))])
    error_message = "secrets must be ARNs: values stand in the state."
  }
}

variable "secret_arns" {
  description = "ARNs of the secrets that var.secrets takes from."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for s in var.secret_arns : can(regex("^arn:[a-z-]+:(secretsmanager|ssm):", s))])
    error_message = "secret_arns must be ARNs of secrets."
  }
}

variable "ports" {
  description = "Ports that the container listens on."
  type        = list(number)
  default     = []

  validation {
    condition     = alltrue([for p in var.ports : p > 1023 && p < 65536])
    error_message = "ports must lie within 1024 and 65535: the container is not root."
  }
}

variable "health_command" {
  description = "Command within the container that tells whether it lives; null for a task that runs once."
  type        = list(string)
  default     = null

  validation {
    condition     = var.health_command == null || try(startswith(var.health_command[0], "/"), false)
    error_message = "health_command must begin with the absolute path of a program: images have no shell."
  }
}

variable "stop_timeout_s" {
  description = "Seconds between SIGTERM and SIGKILL; Fargate allows 120."
  type        = number
  default     = 30

  validation {
    condition     = var.stop_timeout_s >= 2 && var.stop_timeout_s <= 120
    error_message = "stop_timeout_s must lie within 2 and 120."
  }
}

variable "policies" {
  description = "What the running task may do: IAM policies (JSON) by name."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for p in values(var.policies) : can(jsondecode(p).Statement)])
    error_message = "policies must be IAM policies in JSON."
  }
}

variable "log_retention_days" {
  description = "Days that the task's log is kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of the periods that CloudWatch Logs knows (1, 3, 5, 7, 14, 30, 60, 90, ...)."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key for the log and of the secrets; null uses keys of AWS."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key (not of an alias), or null."
  }
}
