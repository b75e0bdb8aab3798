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

variable "security_group_ids" {
  description = "Security groups of managers and data nodes: of the output security_group_ids of the module network."
  type = object({
    manager = string
    node    = string
  })

  validation {
    condition     = var.security_group_ids.manager != var.security_group_ids.node
    error_message = "security_group_ids: managers and nodes have groups of their own, since they may do different things."
  }
}

variable "ports" {
  description = "Ports by name: output ports of the module network."
  type = object({
    manager           = number
    manager_telemetry = number
    node_probe        = number
    node_telemetry    = number
  })
  default = {
    manager           = 8081
    manager_telemetry = 9181
    node_probe        = 9190
    node_telemetry    = 9191
  }

  validation {
    condition     = alltrue([for p in values(var.ports) : p > 1023 && p < 65536])
    error_message = "ports must lie within 1024 and 65535: containers are not root."
  }
}

variable "namespace" {
  description = "Private DNS namespace that the names of managers and nodes lie in."
  type = object({
    id   = string
    name = string
  })

  validation {
    condition     = can(regex("^[a-z0-9.-]+$", var.namespace.name))
    error_message = "namespace.name must be a domain name."
  }
}

variable "image_tag" {
  description = "Tag of the images in this cluster's own repositories (a version or a commit)."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.image_tag)) && var.image_tag != "latest"
    error_message = "image_tag must be a tag other than latest: it says nothing about what runs, and tags here do not move."
  }
}

variable "architecture" {
  description = "Architecture of the images: x86_64 or arm64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}

variable "running" {
  description = "Whether services run. Off at the very first apply: images, certificates and the database's role have to be there before."
  type        = bool
  default     = true
}

variable "etcd" {
  description = "Addresses of etcd's members, and the ARN of the secret with the certificate to show them."
  type = object({
    endpoints         = list(string)
    client_secret_arn = string
  })

  validation {
    condition     = length(var.etcd.endpoints) >= 3 && alltrue([for e in var.etcd.endpoints : startswith(e, "https://")])
    error_message = "etcd.endpoints must name at least three members by https."
  }
}

variable "store" {
  description = "The state of record: outputs of the module store. ca_file is where the image keeps the authorities of RDS; gateway_role_name is the role that managers let in, null where there are no gateways."
  type = object({
    host              = string
    port              = number
    database_name     = string
    role_name         = string
    gateway_role_name = optional(string)
    connect_policy    = string
    admin_name        = string
    admin_secret_arn  = string
    role_sql          = string
    ca_file           = optional(string, "/etc/assay/rds-ca.pem")
  })

  validation {
    condition     = can(jsondecode(var.store.connect_policy).Statement) && startswith(var.store.ca_file, "/")
    error_message = "store: connect_policy is an IAM policy in JSON, ca_file an absolute path."
  }
}

variable "registry" {
  description = "Table of the registry and the policy to run the schedule on it: by these the leader runs the same tick as the Lambda. null leaves it to the Lambda."
  type = object({
    table_name = string
    policy     = string
  })
  default = null

  validation {
    condition     = var.registry == null || can(jsondecode(var.registry.policy).Statement)
    error_message = "registry.policy must be an IAM policy in JSON."
  }
}

variable "schedule_every_s" {
  description = "Seconds between two ticks of the leader."
  type        = number
  default     = 60

  validation {
    condition     = var.schedule_every_s >= 10 && var.schedule_every_s <= 3600
    error_message = "schedule_every_s must lie within 10 and 3600."
  }
}

variable "manager" {
  description = "Managers: how many (one leads, the others stand by), and how large each is."
  type = object({
    count     = optional(number, 2)
    cpu       = optional(number, 512)
    memory_mb = optional(number, 1024)
  })
  default = {}

  validation {
    condition     = var.manager.count >= 2 && var.manager.count <= 5
    error_message = "manager.count must lie within 2 and 5: one leads, and another has to be there when it is lost."
  }
}

variable "node" {
  description = "Data nodes: bounds of their number, size of each, tasks at once in each, and the backlog per node (tasks that wait, over nodes) that autoscaling aims at."
  type = object({
    min               = optional(number, 2)
    max               = optional(number, 12)
    cpu               = optional(number, 2048)
    memory_mb         = optional(number, 8192)
    slots             = optional(number, 2)
    backlog_target    = optional(number, 4)
    scale_out_pause_s = optional(number, 60)
    scale_in_pause_s  = optional(number, 600)
    spot_weight       = optional(number, 0)
    on_demand_weight  = optional(number, 1)
    ephemeral_gb      = optional(number, 21)
  })
  default = {}

  validation {
    condition     = var.node.min >= 1 && var.node.max >= var.node.min
    error_message = "node: min must be at least 1, and max at least min."
  }

  validation {
    condition     = var.node.slots >= 1 && var.node.backlog_target > 0
    error_message = "node: slots must be at least 1 and backlog_target above 0."
  }

  validation {
    condition     = var.node.on_demand_weight + var.node.spot_weight > 0
    error_message = "node: on_demand_weight and spot_weight must not both be 0."
  }
}

variable "drain_grace_s" {
  description = "Seconds that a data node's tasks may go on once it is asked to stop; what is not done by then is handed back. Fargate kills 120 s after SIGTERM."
  type        = number
  default     = 110

  validation {
    condition     = var.drain_grace_s >= 10 && var.drain_grace_s <= 115
    error_message = "drain_grace_s must lie within 10 and 115: Fargate kills after 120 s, and handing back takes a moment."
  }
}

variable "sources" {
  description = "What data nodes may read: ARNs of buckets with prefixes (arn:aws:s3:::bucket/prefix/*), and of the keys that objects are encrypted with."
  type = object({
    object_arns  = optional(list(string), [])
    kms_key_arns = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = alltrue([for a in var.sources.object_arns : can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]+/.*$", a))])
    error_message = "sources.object_arns must be ARNs of objects: arn:aws:s3:::bucket/prefix/*."
  }
}

variable "incident_topic_arn" {
  description = "ARN of the SNS topic that managers publish incidents to; null gives no right to publish."
  type        = string
  default     = null

  validation {
    condition     = var.incident_topic_arn == null || can(regex("^arn:[a-z-]+:sns:", var.incident_topic_arn))
    error_message = "incident_topic_arn must be the ARN of an SNS topic, or null."
  }
}

variable "notify" {
  description = "Whether incident_topic_arn is given: known before the topic is made."
  type        = bool
  default     = false
}

variable "node_name" {
  description = "What the name in the data nodes' certificate begins with: it ends in `*`, and so vouches for every node id that begins so. On Fargate a node's id is its host name, ip-…"
  type        = string
  default     = "ip-"

  validation {
    condition     = can(regex("^[a-z0-9-]+$", var.node_name))
    error_message = "node_name must have lower-case letters, digits and hyphens."
  }
}

variable "log_level" {
  description = "ASSAY_LOG of managers and nodes: error, warn, info, debug or trace."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["error", "warn", "info", "debug", "trace"], var.log_level)
    error_message = "log_level must be error, warn, info, debug or trace."
  }
}

variable "keep_images" {
  description = "How many images each repository keeps; older ones go."
  type        = number
  default     = 30

  validation {
    condition     = var.keep_images >= 2
    error_message = "keep_images must be at least 2: the one that runs, and the one to go back to."
  }
}

variable "delete_images" {
  description = "Whether a repository that still holds images may be destroyed."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "Days that logs of managers and nodes are kept."
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

variable "kms_key_arn" {
  description = "ARN of the KMS key for logs, secrets and images; null uses keys of AWS."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key (not of an alias), or null."
  }
}
