# The role of processes. RDS has no API for it: the task definition store-init of the module cluster
# runs this once, and it may be run again.

locals {
  role_sql = <<-SQL
    DO $$ BEGIN
      IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '${var.role_name}') THEN
        CREATE ROLE ${var.role_name} LOGIN;
      END IF;
    END $$;
    GRANT rds_iam TO ${var.role_name};
    GRANT ${var.role_name} TO ${var.admin_name};
    ALTER DATABASE ${var.database_name} OWNER TO ${var.role_name};
    GRANT ALL ON SCHEMA public TO ${var.role_name};
  SQL
}
