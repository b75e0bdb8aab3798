variable "name" {
  description = "Name of the cluster; every resource of this module begins with it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "members" {
  description = "Private subnets of the three members, each in a zone of its own: output private_subnets of the module network."
  type = list(object({
    id                = string
    availability_zone = string
  }))

  validation {
    condition     = length(var.members) == 3 && length(distinct([for m in var.members : m.availability_zone])) == 3
    error_message = "members must name three subnets of three different zones: a majority must outlive a zone."
  }
}

variable "vpc_security_group_id" {
  description = "Security group of the members: output security_group_ids[\"etcd\"] of the module network."
  type        = string

  validation {
    condition     = length(var.vpc_security_group_id) > 0
    error_message = "vpc_security_group_id must be the id of a security group."
  }
}

variable "namespace" {
  description = "Private DNS namespace that the members' names lie in."
  type = object({
    id   = string
    name = string
  })

  validation {
    condition     = can(regex("^[a-z0-9.-]+$", var.namespace.name))
    error_message = "namespace.name must be a domain name."
  }
}

variable "etcd_version" {
  description = "Version of etcd: 3.5.33 or newer, or 3.6.15 or newer (older ones have known ways around authentication and a leak of watches)."
  type        = string
  default     = "3.5.33"

  validation {
    condition = can(regex("^3\\.[0-9]+\\.[0-9]+$", var.etcd_version)) && try(
      tonumber(split(".", var.etcd_version)[1]) == 5 ? tonumber(split(".", var.etcd_version)[2]) >= 33 :
      tonumber(split(".", var.etcd_version)[1]) == 6 ? tonumber(split(".", var.etcd_version)[2]) >= 15 :
      tonumber(split(".", var.etcd_version)[1]) > 6,
      false
    )
    error_message = "etcd_version must be 3.5.33 or newer, or 3.6.15 or newer."
  }
}

variable "etcd_sha256" {
  description = "SHA-256 of etcd-v<version>-linux-<arch>.tar.gz as its project publishes it. A member does not start on anything else."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.etcd_sha256))
    error_message = "etcd_sha256 must be 64 hexadecimal digits."
  }
}

variable "architecture" {
  description = "Architecture of the members: x86_64 or arm64. It must be that of instance_type."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}

variable "instance_type" {
  description = "Type of the members' machines. etcd here keeps leases and leadership, not data: a small one does."
  type        = string
  default     = "t3.small"

  validation {
    condition     = can(regex("^[a-z0-9-]+\\.[a-z0-9]+$", var.instance_type))
    error_message = "instance_type must be a type of EC2, like t3.small."
  }
}

variable "ami_id" {
  description = "Image of the members' machines (Amazon Linux 2023); null takes the newest at the time a member is made. A newer image alone never replaces a member."
  type        = string
  default     = null

  validation {
    condition     = var.ami_id == null || can(regex("^ami-[0-9a-f]+$", var.ami_id))
    error_message = "ami_id must be ami-..., or null."
  }
}

variable "volume_gb" {
  description = "Size of each member's volume in GB. It outlives the machine."
  type        = number
  default     = 20

  validation {
    condition     = var.volume_gb >= 8 && var.volume_gb <= 1024
    error_message = "volume_gb must lie within 8 and 1024."
  }
}

variable "rejoining" {
  description = "Members (a, b, c) whose volume was lost and which were added to the running cluster by `etcdctl member add`: they start as members of an existing cluster."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.rejoining, ["a", "b", "c"])) == 0 && length(var.rejoining) <= 1
    error_message = "rejoining holds at most one of a, b and c: with two volumes lost, the majority is lost."
  }
}

variable "session_manager" {
  description = "Whether people with the right to do so may open a session on a member through SSM (there is no SSH)."
  type        = bool
  default     = true
}

variable "keep_on_destroy" {
  description = "Whether destroying a volume leaves a snapshot, and the bucket refuses to go while it holds something."
  type        = bool
  default     = true
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
  description = "ARN of the KMS key for volumes, secrets and the bucket; null uses keys of AWS."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key (not of an alias), or null."
  }
}
