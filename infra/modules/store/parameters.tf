# What the server holds every session to, whatever a client says at its start. Milliseconds, where
# there is no other unit. Sessions of Assay ask for the same; this is for those that do not.

locals {
  parameters = {
    # Nothing waits for ever.
    statement_timeout                   = "10000"
    lock_timeout                        = "2000"
    idle_in_transaction_session_timeout = "3000"
    tcp_user_timeout                    = "5000"
    client_connection_check_interval    = "2000"

    # A commit that was answered is on disk here and in the other zone.
    synchronous_commit = "on"

    # No connection without TLS, no password but by SCRAM.
    "rds.force_ssl"          = "1"
    ssl_min_protocol_version = "TLSv1.2"
    password_encryption      = "scram-sha-256"

    # Who came and went, and what was slow or waited.
    log_connections            = "1"
    log_disconnections         = "1"
    log_lock_waits             = "1"
    log_min_duration_statement = "1000"
    log_statement              = "ddl"
  }
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${var.name}-store-"
  description = "Time-outs, TLS and log of ${var.name}"
  family      = "postgres${var.engine_version}"

  dynamic "parameter" {
    for_each = local.parameters

    content {
      name  = parameter.key
      value = parameter.value
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}
