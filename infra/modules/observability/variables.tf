variable "name" {
  description = "Name of the cluster; every resource of this module begins with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "subscribers" {
  description = "E-mail addresses that alarms go to. Each has to be confirmed by its owner."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for a in var.subscribers : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", a))])
    error_message = "subscribers must be e-mail addresses."
  }
}

variable "watched" {
  description = "What alarms and the dashboard look at: outputs of the other modules. A part that is null is not watched."
  type = object({
    scheduler = optional(object({
      function_name = string
      queue_name    = string
      enabled       = optional(bool, true)
    }))
    registry = optional(object({
      table_name = string
    }))
    store = optional(object({
      identifier   = string
      storage_gb   = number
      cpu_percent  = optional(number, 80)
      memory_bytes = optional(number, 268435456)
    }))
    coordination = optional(object({
      instance_ids = map(string)
    }))
    cluster = optional(object({
      cluster_name = string
      managers_min = number
      nodes_min    = number
      nodes_max    = number
      services     = object({ manager = string, node = string })
      running      = optional(bool, true)
    }))
    gateway = optional(object({
      load_balancer_suffix = string
      target_group_suffix  = string
      service_name         = string
    }))
  })

  validation {
    condition     = var.watched.cluster == null || try(var.watched.cluster.nodes_max >= var.watched.cluster.nodes_min, false)
    error_message = "watched.cluster: nodes_max must be at least nodes_min."
  }

  validation {
    condition     = var.watched.store == null || try(var.watched.store.storage_gb > 0 && var.watched.store.cpu_percent <= 100, false)
    error_message = "watched.store: storage_gb must be above 0, and cpu_percent at most 100."
  }
}

variable "budget" {
  description = "Monthly budget in USD, and who is told at 80 % forecast and 100 % spent; null has none. It counts what carries the tag Cluster with the cluster's name."
  type = object({
    limit_usd = number
    emails    = list(string)
  })
  default = null

  validation {
    condition     = var.budget == null || try(var.budget.limit_usd > 0 && length(var.budget.emails) > 0, false)
    error_message = "budget: limit_usd must be above 0, and emails must name at least one address."
  }
}

variable "prometheus" {
  description = "Series in Amazon Managed Prometheus, scraped by a collector that runs beside the cluster; null has none (alarms and the dashboard of CloudWatch are there all the same)."
  type = object({
    collector_image   = string
    repository_arn    = string
    cluster_arn       = string
    subnet_ids        = list(string)
    security_group_id = string
    architecture      = optional(string, "x86_64")
    running           = optional(bool, true)
    alertmanager      = optional(bool, true)
  })
  default = null

  validation {
    condition     = var.prometheus == null || try(length(var.prometheus.subnet_ids) > 0 && contains(["x86_64", "arm64"], var.prometheus.architecture), false)
    error_message = "prometheus: name at least one subnet, and x86_64 or arm64."
  }
}

variable "namespace_name" {
  description = "Private DNS namespace in which the collector finds what it scrapes (manager, node, gateway)."
  type        = string
  default     = ""

  validation {
    condition     = var.prometheus == null || length(var.namespace_name) > 0
    error_message = "namespace_name must be given where there is a collector."
  }
}

variable "log_retention_days" {
  description = "Days that the collector's log is kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of the periods that CloudWatch Logs knows (1, 3, 5, 7, 14, 30, 60, 90, ...)."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key of topics and logs, whose policy lets CloudWatch use it; null leaves topics unencrypted, because alarms cannot publish with the key alias/aws/sns."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key (not of an alias), or null."
  }
}
