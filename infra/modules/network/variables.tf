variable "name" {
  description = "Name of the cluster; every resource of this module begins with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC, /16 to /20: each zone gets a private part and a smaller public one."
  type        = string
  default     = "10.40.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && try(tonumber(split("/", var.vpc_cidr)[1]) >= 16 && tonumber(split("/", var.vpc_cidr)[1]) <= 20, false)
    error_message = "vpc_cidr must be an IPv4 network in CIDR notation of /16 to /20."
  }
}

variable "availability_zones" {
  description = "The three zones of the cluster; null takes the first three of the region. Three, because etcd's majority must outlive one."
  type        = list(string)
  default     = null

  validation {
    condition     = var.availability_zones == null || try(length(distinct(var.availability_zones)) == 3, false)
    error_message = "availability_zones must name three different zones."
  }
}

variable "existing_vpc" {
  description = "A VPC that is there already, with three private subnets of three zones and three public ones (for the load balancer alone); null makes one. Its own route tables and internet gateway are left alone."
  type = object({
    vpc_id                  = string
    private_subnet_ids      = list(string)
    public_subnet_ids       = list(string)
    private_route_table_ids = optional(list(string), [])
    make_endpoints          = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.existing_vpc == null || try(length(distinct(var.existing_vpc.private_subnet_ids)) == 3, false)
    error_message = "existing_vpc.private_subnet_ids must name three different subnets, one in each zone."
  }

  validation {
    condition     = var.existing_vpc == null || try(length(distinct(var.existing_vpc.public_subnet_ids)) >= 2, false)
    error_message = "existing_vpc.public_subnet_ids must name at least two subnets: a load balancer wants two zones."
  }
}

variable "nat" {
  description = "Ways out of the private subnets: none (all of AWS is reached through VPC endpoints), one (cheap, and lost with its zone), or each (one per zone)."
  type        = string
  default     = "none"

  validation {
    condition     = contains(["none", "one", "each"], var.nat)
    error_message = "nat must be none, one or each."
  }
}

variable "interface_endpoints" {
  description = "Services of AWS that get an interface endpoint in every zone. The default is what the cluster calls when there is no NAT."
  type        = set(string)
  default = [
    "ecr.api",
    "ecr.dkr",
    "logs",
    "secretsmanager",
    "sns",
    "ssm",
    "ssmmessages",
  ]

  validation {
    condition     = alltrue([for s in var.interface_endpoints : can(regex("^[a-z0-9.-]+$", s))])
    error_message = "interface_endpoints holds names like ecr.api, without com.amazonaws and the region."
  }
}

variable "extra_egress" {
  description = "Further ways out, by name: from the group of a workload (manager, node, gateway, scheduler, collector) to one port of a group or of a network, for databases that are checked or a receiver of notifications."
  type = map(object({
    from              = string
    port              = number
    description       = string
    security_group_id = optional(string)
    cidr_ipv4         = optional(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for e in values(var.extra_egress) : contains(["manager", "node", "gateway", "scheduler", "collector"], e.from)])
    error_message = "extra_egress: from must be manager, node, gateway, scheduler or collector."
  }

  validation {
    condition     = alltrue([for e in values(var.extra_egress) : (e.security_group_id == null) != (e.cidr_ipv4 == null)])
    error_message = "extra_egress: name either security_group_id or cidr_ipv4."
  }

  validation {
    condition     = alltrue([for e in values(var.extra_egress) : e.cidr_ipv4 == null || e.port == 443 || try(tonumber(split("/", e.cidr_ipv4)[1]) >= 8, false)])
    error_message = "extra_egress: a network wider than /8 may be reached on port 443 alone."
  }

  validation {
    condition     = alltrue([for e in values(var.extra_egress) : length(e.description) > 0 && e.port >= 1 && e.port <= 65535])
    error_message = "extra_egress: each needs a description and a port within 1 and 65535."
  }
}

variable "alb_ingress_cidrs" {
  description = "Networks that may reach the load balancer on 443: everyone by default, since the gateway authenticates. This is the only way in; where there is no load balancer, leave it empty."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = alltrue([for c in var.alb_ingress_cidrs : can(cidrnetmask(c))])
    error_message = "alb_ingress_cidrs must hold IPv4 networks in CIDR notation."
  }
}

variable "flow_log_retention_days" {
  description = "Days that the log of accepted and refused connections is kept; 0 keeps no such log."
  type        = number
  default     = 30

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.flow_log_retention_days)
    error_message = "flow_log_retention_days must be 0 or one of the periods that CloudWatch Logs knows (1, 3, 5, 7, 14, 30, 60, 90, ...)."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key for the flow log; null uses the key of CloudWatch Logs."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key (not of an alias), or null."
  }
}
