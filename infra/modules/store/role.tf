# The roles of processes. RDS has no API for them: the task definition store-init of the module cluster
# runs this once, and it may be run again. What gateways may do is granted by a manager, which knows the
# tables.

locals {
  logins = [for role in [var.role_name, var.gateway_role_name] : <<-SQL
    DO $$ BEGIN
      IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '${role}') THEN
        CREATE ROLE ${role} LOGIN;
      END IF;
    END $$;
    GRANT rds_iam TO ${role};
  SQL
  ]

  role_sql = join("", concat(local.logins, [<<-SQL
    GRANT ${var.role_name} TO ${var.admin_name};
    ALTER DATABASE ${var.database_name} OWNER TO ${var.role_name};
    GRANT ALL ON SCHEMA public TO ${var.role_name};
  SQL
  ]))
}
