variable "name" {
  description = "Name of the cluster; every resource of this module begins with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "subnet_ids" {
  description = "Private subnets in three zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 3
    error_message = "subnet_ids must name a subnet in each of three zones."
  }
}

variable "security_group_id" {
  description = "Security group of the database: output security_group_ids[\"store\"] of the module network."
  type        = string

  validation {
    condition     = length(var.security_group_id) > 0
    error_message = "security_group_id must be the id of a security group."
  }
}

variable "engine_version" {
  description = "Major version of Postgres. The one that the tests run on is the default; minor versions are kept up by RDS."
  type        = string
  default     = "15"

  validation {
    condition     = contains(["15", "16", "17"], var.engine_version)
    error_message = "engine_version must be 15, 16 or 17."
  }
}

variable "instance_class" {
  description = "Class of the database instances (db.t4g.medium, db.m7g.large, ...)."
  type        = string
  default     = "db.t4g.medium"

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.instance_class))
    error_message = "instance_class must be a class of RDS, like db.t4g.medium."
  }
}

variable "storage_gb" {
  description = "Storage at first, and the bound that it may grow to by itself, in GB."
  type = object({
    initial = number
    maximum = number
  })
  default = {
    initial = 50
    maximum = 500
  }

  validation {
    condition     = var.storage_gb.initial >= 20 && var.storage_gb.maximum > var.storage_gb.initial
    error_message = "storage_gb: initial must be at least 20, and maximum larger than initial."
  }
}

variable "multi_az" {
  description = "Whether a synchronous copy stands by in another zone. The state of record is not to be lost with a zone: off only for a cluster that is thrown away."
  type        = bool
  default     = true
}

variable "backup_retention_days" {
  description = "Days that the database can be restored to any second of."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_retention_days >= 1 && var.backup_retention_days <= 35
    error_message = "backup_retention_days must lie within 1 and 35: a database without backups cannot be restored."
  }
}

variable "deletion_protection" {
  description = "Whether the database refuses to be deleted. Without it, no last snapshot is taken either."
  type        = bool
  default     = true
}

variable "database_name" {
  description = "Name of the database."
  type        = string
  default     = "assay"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.database_name))
    error_message = "database_name must have lower-case letters, digits and underscores, beginning with a letter."
  }
}

variable "admin_name" {
  description = "Name of the administrator, whose password RDS makes, keeps in Secrets Manager and rotates. Processes do not use it."
  type        = string
  default     = "assay_admin"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.admin_name)) && !contains(["postgres", "rdsadmin", "admin"], var.admin_name)
    error_message = "admin_name must have lower-case letters, digits and underscores, and be none of the names that RDS keeps for itself."
  }
}

variable "role_name" {
  description = "Name of the role that processes log in as, by IAM and without a password."
  type        = string
  default     = "assay"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.role_name))
    error_message = "role_name must have lower-case letters, digits and underscores, beginning with a letter."
  }
}

variable "gateway_role_name" {
  description = "Name of the role that gateways log in as, by IAM and without a password: it reads, and appends to the audit log."
  type        = string
  default     = "assay_gateway"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.gateway_role_name)) && var.gateway_role_name != var.role_name
    error_message = "gateway_role_name must have lower-case letters, digits and underscores, beginning with a letter, and be another role than role_name."
  }
}

variable "maintenance" {
  description = "Windows in UTC: of backups (hh:mm-hh:mm) and of maintenance (ddd:hh:mm-ddd:hh:mm), not overlapping."
  type = object({
    backup_window      = string
    maintenance_window = string
  })
  default = {
    backup_window      = "01:00-02:00"
    maintenance_window = "sun:02:30-sun:03:30"
  }

  validation {
    condition     = can(regex("^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$", var.maintenance.backup_window)) && can(regex("^[a-z]{3}:[0-9]{2}:[0-9]{2}-[a-z]{3}:[0-9]{2}:[0-9]{2}$", var.maintenance.maintenance_window))
    error_message = "maintenance: backup_window is hh:mm-hh:mm, maintenance_window ddd:hh:mm-ddd:hh:mm."
  }
}

variable "log_retention_days" {
  description = "Days that the database's own log is kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of the periods that CloudWatch Logs knows (1, 3, 5, 7, 14, 30, 60, 90, ...)."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key for storage, performance insights, the administrator's secret and the log; null uses keys of AWS."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key (not of an alias), or null."
  }
}
