# One page of CloudWatch: what the leader publishes first, then what it stands on.

locals {
  panels = concat(
    [
      { title = "Nodes: live and desired", stat = "Average", series = [["Assay", "NodesLive", "Cluster", var.name], ["Assay", "NodesDesired", "Cluster", var.name]] },
      { title = "Backlog per node", stat = "Average", series = [["Assay", "BacklogPerNode", "Cluster", var.name]] },
      { title = "Slots: demanded and free", stat = "Average", series = [["Assay", "SlotsDemanded", "Cluster", var.name], ["Assay", "SlotsFree", "Cluster", var.name]] },
      { title = "Runs that are not finished", stat = "Average", series = [["Assay", "RunsUnfinished", "Cluster", var.name]] },
    ],
    var.watched.scheduler == null ? [] : [
      { title = "Scheduler: ticks and errors", stat = "Sum", series = [for m in ["Invocations", "Errors"] : ["AWS/Lambda", m, "FunctionName", var.watched.scheduler.function_name]] },
      { title = "Scheduler: duration (ms)", stat = "Maximum", series = [["AWS/Lambda", "Duration", "FunctionName", var.watched.scheduler.function_name]] },
    ],
    var.watched.registry == null ? [] : [
      { title = "Registry: consumed units", stat = "Sum", series = [for m in ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"] : ["AWS/DynamoDB", m, "TableName", var.watched.registry.table_name]] },
    ],
    var.watched.store == null ? [] : [
      { title = "Store: processor (%) and connections", stat = "Average", series = [for m in ["CPUUtilization", "DatabaseConnections"] : ["AWS/RDS", m, "DBInstanceIdentifier", var.watched.store.identifier]] },
      { title = "Store: latency (s)", stat = "Average", series = [for m in ["ReadLatency", "WriteLatency", "CommitLatency"] : ["AWS/RDS", m, "DBInstanceIdentifier", var.watched.store.identifier]] },
      { title = "Store: free disk (bytes)", stat = "Minimum", series = [["AWS/RDS", "FreeStorageSpace", "DBInstanceIdentifier", var.watched.store.identifier]] },
    ],
    var.watched.coordination == null ? [] : [
      { title = "etcd: processor (%)", stat = "Average", series = [for letter, id in var.watched.coordination.instance_ids : ["AWS/EC2", "CPUUtilization", "InstanceId", id]] },
    ],
    var.watched.cluster == null ? [] : [
      { title = "Memory of services (%)", stat = "Maximum", series = [for s in values(var.watched.cluster.services) : ["AWS/ECS", "MemoryUtilization", "ClusterName", var.watched.cluster.cluster_name, "ServiceName", s]] },
      { title = "Processor of services (%)", stat = "Average", series = [for s in values(var.watched.cluster.services) : ["AWS/ECS", "CPUUtilization", "ClusterName", var.watched.cluster.cluster_name, "ServiceName", s]] },
    ],
    var.watched.gateway == null ? [] : [
      { title = "Load balancer: requests and errors", stat = "Sum", series = [for m in ["RequestCount", "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"] : ["AWS/ApplicationELB", m, "LoadBalancer", var.watched.gateway.load_balancer_suffix]] },
      { title = "Load balancer: response time (s)", stat = "p95", series = [["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", var.watched.gateway.load_balancer_suffix]] },
    ],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [for i, panel in local.panels : {
      type   = "metric"
      x      = (i % 3) * 8
      y      = floor(i / 3) * 6
      width  = 8
      height = 6
      properties = {
        title   = panel.title
        region  = local.region
        stat    = panel.stat
        period  = 60
        view    = "timeSeries"
        metrics = panel.series
      }
    }]
  })
}
