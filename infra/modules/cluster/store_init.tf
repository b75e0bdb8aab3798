# A task that people run once (`aws ecs run-task`): as the administrator it makes the role that
# processes log in as. It alone may read the administrator's password.

module "store_init" {
  source = "../task"

  name           = var.name
  service        = "store-init"
  image          = "${aws_ecr_repository.this["psql"].repository_url}:${var.image_tag}"
  repository_arn = aws_ecr_repository.this["psql"].arn
  architecture   = var.architecture
  cpu            = 256
  memory_mb      = 512
  command        = ["psql", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--command", var.store.role_sql]

  environment = {
    PGHOST     = var.store.host
    PGPORT     = tostring(var.store.port)
    PGDATABASE = var.store.database_name
    PGUSER     = var.store.admin_name
    PGSSLMODE  = "require"
  }

  secrets     = { PGPASSWORD = "${var.store.admin_secret_arn}:password::" }
  secret_arns = [var.store.admin_secret_arn]

  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
}
