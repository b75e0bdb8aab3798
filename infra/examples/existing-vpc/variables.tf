variable "name" {
  description = "Name of the cluster; every resource begins with it."
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

variable "image_tag" {
  description = "Tag of the images in this cluster's own repositories (a version or a commit)."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.image_tag)) && var.image_tag != "latest"
    error_message = "image_tag must be a tag other than latest: it says nothing about what runs, and tags here do not move."
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

variable "running" {
  description = "Whether services run and the schedule fires. Off at the first apply: images, certificates and the database's role have to be there before."
  type        = bool
  default     = false
}

variable "vpc" {
  description = "The VPC, with three private subnets of three zones, at least two public ones, and the route tables of the private ones; make_endpoints says whether the VPC endpoints are to be made."
  type = object({
    vpc_id                  = string
    private_subnet_ids      = list(string)
    public_subnet_ids       = list(string)
    private_route_table_ids = optional(list(string), [])
    make_endpoints          = optional(bool, false)
  })

  validation {
    condition     = length(distinct(var.vpc.private_subnet_ids)) == 3
    error_message = "vpc.private_subnet_ids must name three different subnets, one in each zone."
  }
}

variable "etcd" {
  description = "An etcd that is there already: addresses of its members, the ARN of the secret with the certificate to show them, and the security group that they are in."
  type = object({
    endpoints         = list(string)
    client_secret_arn = string
    security_group_id = string
  })

  validation {
    condition     = length(var.etcd.endpoints) >= 3 && alltrue([for e in var.etcd.endpoints : startswith(e, "https://")])
    error_message = "etcd.endpoints must name at least three members by https."
  }
}

variable "store" {
  description = "A Postgres on RDS that is there already: where it is, its resource id, the role to log in as, the administrator with the secret that RDS keeps its password in, and the security group that it is in."
  type = object({
    host              = string
    port              = optional(number, 5432)
    database_name     = optional(string, "assay")
    resource_id       = string
    role_name         = optional(string, "assay")
    admin_name        = string
    admin_secret_arn  = string
    security_group_id = string
  })

  validation {
    condition     = startswith(var.store.resource_id, "db-") && can(regex("^arn:[a-z-]+:secretsmanager:", var.store.admin_secret_arn))
    error_message = "store: resource_id is db-..., and admin_secret_arn the ARN of a secret."
  }
}
