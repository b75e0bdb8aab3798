variable "name" {
  description = "Name of the cluster; every resource begins with it, and carries it as the tag Cluster."
  type        = string
  default     = "assay-staging"

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

variable "environment" {
  description = "Tag Environment of every resource."
  type        = string
  default     = "staging"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*$", var.environment))
    error_message = "environment must have lower-case letters, digits and hyphens."
  }
}

variable "owner" {
  description = "Tag Owner of every resource: the team to ask."
  type        = string
  default     = "data-platform"

  validation {
    condition     = length(var.owner) > 0
    error_message = "owner must not be empty."
  }
}

variable "tags" {
  description = "Further tags of every resource."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.tags), ["Project", "Cluster", "Environment", "Owner", "ManagedBy"])) == 0
    error_message = "tags must not set Project, Cluster, Environment, Owner or ManagedBy: those come from this root."
  }
}

variable "running" {
  description = "Whether services run and the schedule fires. Off at the first apply: images, certificates and the database's role have to be there before."
  type        = bool
  default     = true
}

variable "architecture" {
  description = "Architecture of images, Lambda and etcd's machines: x86_64 or arm64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
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

variable "lambda_zip" {
  description = "Path of the scheduler's zip; null takes what infra/lambda/build makes."
  type        = string
  default     = null

  validation {
    condition     = var.lambda_zip == null || try(endswith(var.lambda_zip, ".zip"), false)
    error_message = "lambda_zip must be the path of a .zip file, or null."
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

variable "scheduler_concurrency_max" {
  description = "How many ticks may run at once; -1 for accounts whose limit of concurrent executions is below 102, of which none can be reserved."
  type        = number
  default     = 2

  validation {
    condition     = var.scheduler_concurrency_max == -1 || var.scheduler_concurrency_max >= 1
    error_message = "scheduler_concurrency_max must be -1 or at least 1."
  }
}

variable "certificate_arn" {
  description = "ARN of the ACM certificate of the public name, in this region."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$", var.certificate_arn))
    error_message = "certificate_arn must be the ARN of an ACM certificate."
  }
}

variable "web_acl_arn" {
  description = "ARN of a web ACL (WAFv2, regional) before the load balancer; null has none."
  type        = string
  default     = null

  validation {
    condition     = var.web_acl_arn == null || can(regex("^arn:[a-z-]+:wafv2:", var.web_acl_arn))
    error_message = "web_acl_arn must be the ARN of a WAFv2 web ACL, or null."
  }
}

variable "network" {
  description = "Addresses of the VPC, its zones (null: the first three), ways out (none, one, each), who may reach the load balancer, and further ways out of workloads; see modules/network."
  type = object({
    vpc_cidr           = optional(string, "10.40.0.0/16")
    availability_zones = optional(list(string))
    nat                = optional(string, "none")
    alb_ingress_cidrs  = optional(list(string), ["0.0.0.0/0"])
    extra_egress = optional(map(object({
      from              = string
      port              = number
      description       = string
      security_group_id = optional(string)
      cidr_ipv4         = optional(string)
    })), {})
  })
  default = {}

  validation {
    condition     = contains(["none", "one", "each"], var.network.nat) && can(cidrnetmask(var.network.vpc_cidr))
    error_message = "network: nat is none, one or each, and vpc_cidr an IPv4 network."
  }

  validation {
    condition     = length(var.network.alb_ingress_cidrs) > 0
    error_message = "network.alb_ingress_cidrs must name at least one network: without any, nobody reaches the gateways."
  }
}

variable "etcd" {
  description = "Version and checksum of etcd's release (etcd-v<version>-linux-<arch>.tar.gz), type of the members' machines, and members that rejoin with a new volume; see modules/coordination."
  type = object({
    version       = optional(string, "3.5.33")
    sha256        = string
    instance_type = optional(string, "t3.small")
    volume_gb     = optional(number, 20)
    ami_id        = optional(string)
    rejoining     = optional(set(string), [])
  })

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.etcd.sha256))
    error_message = "etcd.sha256 must be 64 hexadecimal digits."
  }
}

variable "store" {
  description = "The database: version, class, storage, copies and backups; see modules/store."
  type = object({
    engine_version        = optional(string, "15")
    instance_class        = optional(string, "db.t4g.medium")
    storage_gb            = optional(object({ initial = number, maximum = number }), { initial = 50, maximum = 500 })
    multi_az              = optional(bool, true)
    backup_retention_days = optional(number, 14)
  })
  default = {}

  validation {
    condition     = var.store.backup_retention_days >= 7
    error_message = "store.backup_retention_days must be at least 7 here."
  }
}

variable "manager" {
  description = "Managers: how many, and how large each is; see modules/cluster."
  type = object({
    count     = optional(number, 2)
    cpu       = optional(number, 512)
    memory_mb = optional(number, 1024)
  })
  default = {}

  validation {
    condition     = var.manager.count >= 2 && var.manager.count <= 5
    error_message = "manager.count must lie within 2 and 5."
  }
}

variable "node" {
  description = "Data nodes: bounds, size, slots, and the backlog per node that autoscaling aims at; see modules/cluster."
  type = object({
    min              = optional(number, 2)
    max              = optional(number, 12)
    cpu              = optional(number, 2048)
    memory_mb        = optional(number, 8192)
    slots            = optional(number, 2)
    backlog_target   = optional(number, 4)
    on_demand_weight = optional(number, 1)
    spot_weight      = optional(number, 0)
  })
  default = {}

  validation {
    condition     = var.node.min >= 1 && var.node.max >= var.node.min
    error_message = "node: min must be at least 1, and max at least min."
  }
}

variable "gateway" {
  description = "Gateways: how many, how large each is, and whether they run; see modules/gateway."
  type = object({
    running   = optional(bool, true)
    count     = optional(number, 2)
    cpu       = optional(number, 256)
    memory_mb = optional(number, 512)
  })
  default = {}

  validation {
    condition     = var.gateway.count >= 2
    error_message = "gateway.count must be at least 2."
  }
}

variable "identity" {
  description = "Who may ask the gateways beside those who bring a token; see modules/gateway."
  type = object({
    anonymous = optional(list(string), [])
    oidc = optional(object({
      issuer       = string
      audience     = string
      owners_claim = optional(string)
      roles_claim  = optional(string)
      id_claim     = optional(string)
      roles        = optional(map(list(string)), {})
    }))
  })
  default = {}

  validation {
    condition     = alltrue([for grant in var.identity.anonymous : startswith(grant, "subscriber:")])
    error_message = "identity.anonymous: who brings no credential may be a subscriber only."
  }

  validation {
    condition     = var.identity.oidc == null || try(startswith(var.identity.oidc.issuer, "https://"), false)
    error_message = "identity.oidc.issuer must be https."
  }
}

variable "quotas" {
  description = "How often somebody may ask the gateways; see modules/gateway."
  type = object({
    principal = optional(object({ per_second = number, burst = number }), { per_second = 100, burst = 200 })
    anonymous = optional(object({ per_second = number, burst = number }), { per_second = 20, burst = 40 })
  })
  default = {}

  validation {
    condition     = alltrue(flatten([for rate in values(var.quotas) : [rate.per_second >= 1, rate.burst >= 1]]))
    error_message = "quotas: per_second and burst must be at least 1."
  }
}

variable "sources" {
  description = "What data nodes may read: ARNs of objects in S3 (arn:aws:s3:::bucket/prefix/*) and of the keys that they are encrypted with."
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

variable "alarm_emails" {
  description = "E-mail addresses that alarms go to."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for a in var.alarm_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", a))])
    error_message = "alarm_emails must be e-mail addresses."
  }
}

variable "budget" {
  description = "Monthly budget in USD and who is told of it; null has none."
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
  description = "Whether series go to Amazon Managed Prometheus, by the image `collector` of this cluster's repositories, and whether its Alertmanager tells the alarm topic."
  type = object({
    enabled      = optional(bool, true)
    alertmanager = optional(bool, true)
    image_tag    = optional(string, "v0.43.3")
  })
  default = {}

  validation {
    condition     = var.prometheus.image_tag != "latest"
    error_message = "prometheus.image_tag must not be latest: it says nothing about what runs."
  }
}

variable "deletion_protection" {
  description = "Whether tables, database, load balancer, buckets and images refuse to be deleted. Off only for a cluster that is thrown away."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of the periods that CloudWatch Logs knows (1, 3, 5, 7, 14, 30, 60, 90, ...)."
  }
}
