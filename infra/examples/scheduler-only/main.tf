# The registry and the scheduled Lambda alone: for managers that run elsewhere, and the smallest
# root that shows the schedule at work.

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Project   = "assay"
      Cluster   = var.name
      ManagedBy = "terraform"
    }
  }
}

module "registry" {
  source = "../../modules/registry"

  table_name          = var.table_name
  deletion_protection = var.deletion_protection
}

module "scheduler" {
  source = "../../modules/scheduler"

  name                = var.name
  lambda_zip          = var.lambda_zip
  architecture        = var.architecture
  table_name          = module.registry.table_name
  registry_policy     = module.registry.tick_policy
  lambda_environment  = merge(var.lambda_environment, var.lambda_extra_env)
  schedule_expression = var.schedule_expression

  # Managers outside of the VPC, and no certificate of its own making: what lambda_environment says.
  tls_secret           = null
  vpc                  = null
  concurrency_max      = -1
  secret_recovery_days = 0

  # Scheduler's own tries are enough here.
  retry = {
    attempts     = 3
    age_seconds  = 300
    asynchronous = false
  }
}
