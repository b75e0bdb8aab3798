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

variable "etcd_sha256" {
  description = "SHA-256 of etcd-v<version>-linux-<arch>.tar.gz as its project publishes it. A member does not start on anything else."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.etcd_sha256))
    error_message = "etcd_sha256 must be 64 hexadecimal digits."
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
