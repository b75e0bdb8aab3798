variable "name" {
  description = "Name of the cluster; every resource of this module begins with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "vpc_id" {
  description = "Id of the VPC."
  type        = string

  validation {
    condition     = length(var.vpc_id) > 0
    error_message = "vpc_id must be the id of a VPC."
  }
}

variable "public_subnet_ids" {
  description = "Public subnets that the load balancer stands in."
  type        = list(string)

  validation {
    condition     = length(var.public_subnet_ids) >= 2
    error_message = "public_subnet_ids must name at least two subnets: a load balancer wants two zones."
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
  description = "Security groups of the load balancer and of the gateways: of the output security_group_ids of the module network."
  type = object({
    alb     = string
    gateway = string
  })

  validation {
    condition     = var.security_group_ids.alb != var.security_group_ids.gateway
    error_message = "security_group_ids: the load balancer is open to the internet, and gateways are not: they have groups of their own."
  }
}

variable "ports" {
  description = "Ports by name: output ports of the module network."
  type = object({
    gateway           = number
    gateway_telemetry = number
  })
  default = {
    gateway           = 8080
    gateway_telemetry = 9171
  }

  validation {
    condition     = alltrue([for p in values(var.ports) : p > 1023 && p < 65536])
    error_message = "ports must lie within 1024 and 65535: containers are not root."
  }
}

variable "namespace_id" {
  description = "Id of the private DNS namespace, for the collector to find gateways."
  type        = string

  validation {
    condition     = length(var.namespace_id) > 0
    error_message = "namespace_id must be the id of a namespace."
  }
}

variable "cluster_arn" {
  description = "ARN of the ECS cluster."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:ecs:", var.cluster_arn))
    error_message = "cluster_arn must be the ARN of an ECS cluster."
  }
}

variable "certificate_arn" {
  description = "ARN of the ACM certificate that the load balancer shows, in this region."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$", var.certificate_arn))
    error_message = "certificate_arn must be the ARN of an ACM certificate: there is no listener without TLS."
  }
}

variable "tls_policy" {
  description = "TLS policy of the listener. All that are allowed here refuse what is older than TLS 1.2."
  type        = string
  default     = "ELBSecurityPolicy-TLS13-1-2-2021-06"

  validation {
    condition     = contains(["ELBSecurityPolicy-TLS13-1-2-2021-06", "ELBSecurityPolicy-TLS13-1-2-Res-2021-06", "ELBSecurityPolicy-TLS13-1-3-2021-06"], var.tls_policy)
    error_message = "tls_policy must be one of ELBSecurityPolicy-TLS13-1-2-2021-06, -TLS13-1-2-Res-2021-06 and -TLS13-1-3-2021-06."
  }
}

variable "repository" {
  description = "Repository of the gateway's image."
  type = object({
    url = string
    arn = string
  })

  validation {
    condition     = can(regex("^arn:[a-z-]+:ecr:", var.repository.arn))
    error_message = "repository.arn must be the ARN of an ECR repository."
  }
}

variable "image_tag" {
  description = "Tag of the image (a version or a commit)."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.image_tag)) && var.image_tag != "latest"
    error_message = "image_tag must be a tag other than latest: it says nothing about what runs, and tags here do not move."
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

variable "running" {
  description = "Whether the service runs."
  type        = bool
  default     = true
}

variable "gateway" {
  description = "Gateways: how many, and how large each is."
  type = object({
    count     = optional(number, 2)
    cpu       = optional(number, 256)
    memory_mb = optional(number, 512)
  })
  default = {}

  validation {
    condition     = var.gateway.count >= 2
    error_message = "gateway.count must be at least 2: one per zone that is to be outlived."
  }
}

variable "environment" {
  description = "Further environment of the gateways."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for k in keys(var.environment) : can(regex("^[A-Z][A-Z0-9_]*$", k)) && !can(regex("PASSWORD$|PRIVATE_KEY", k))])
    error_message = "environment: names are of capitals, digits and underscores, and none of a password or a private key."
  }
}

variable "managers" {
  description = "Address of the managers: output managers of the module cluster."
  type        = string

  validation {
    condition     = can(regex("^https://[^/,\\s]+:[0-9]+$", var.managers))
    error_message = "managers must be https://host:port."
  }
}

variable "tls_server_name" {
  description = "Name that the managers' certificates are checked for."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9.-]+$", var.tls_server_name))
    error_message = "tls_server_name must be a host name."
  }
}

variable "store" {
  description = "The state of record: outputs of the module store, with the role and the policy of gateways. ca_file is where the image keeps the authorities of RDS."
  type = object({
    host           = string
    port           = number
    database_name  = string
    role_name      = string
    connect_policy = string
    ca_file        = optional(string, "/etc/assay/rds-ca.pem")
  })

  validation {
    condition     = can(jsondecode(var.store.connect_policy).Statement) && startswith(var.store.ca_file, "/")
    error_message = "store: connect_policy is an IAM policy in JSON, ca_file an absolute path."
  }
}

variable "identity" {
  description = "Who may ask beside those who bring a token: people of an OpenID Connect provider, with roles by group and owners by a claim, and what anybody may read without a credential (subscriber:NAME, subscriber:*). See docs/guard.md."
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
    error_message = "identity.anonymous: who brings no credential may be a subscriber only (subscriber:NAME, subscriber:*)."
  }

  validation {
    condition     = var.identity.oidc == null || try(startswith(var.identity.oidc.issuer, "https://") && var.identity.oidc.audience != "" && (length(var.identity.oidc.roles) > 0 || var.identity.oidc.owners_claim != null), false)
    error_message = "identity.oidc: issuer must be https, audience not empty, and roles or owners_claim say who is who."
  }
}

variable "quotas" {
  description = "Requests per second, and at once, over all gateways: of each principal that is known, and of each address without a credential."
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

variable "policies" {
  description = "What gateways may do: IAM policies (JSON) by name. The registry's, where datasets are registered through them."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for p in values(var.policies) : can(jsondecode(p).Statement)])
    error_message = "policies must be IAM policies in JSON."
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

variable "access_log_days" {
  description = "Days that the load balancer's access log is kept."
  type        = number
  default     = 30

  validation {
    condition     = var.access_log_days >= 1
    error_message = "access_log_days must be at least 1."
  }
}

variable "deletion_protection" {
  description = "Whether the load balancer, and the bucket of its log while it holds something, refuse to be deleted."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days that logs of gateways are kept."
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
  description = "ARN of the KMS key for logs and secrets; null uses keys of AWS."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key (not of an alias), or null."
  }
}
