provider "aws" {
  region = var.region

  default_tags {
    tags = merge(var.tags, {
      Project     = "assay"
      Cluster     = var.name
      Environment = var.environment
      Owner       = var.owner
      ManagedBy   = "terraform"
    })
  }
}
