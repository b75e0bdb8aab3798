# What people are woken for, from the metrics of AWS and those that the leader publishes. Each line is
# an alarm; `missing` says what silence means: `breaching` where silence is the failure.

locals {
  of_scheduler = [for it in var.watched.scheduler[*] : {
    ticks-missed = {
      what       = "Ticks lie in the dead-letter queue: the schedule does not reach the function"
      namespace  = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", statistic = "Maximum"
      dimensions = { QueueName = it.queue_name }
      above      = 0, periods = 1, period_s = 300, missing = "notBreaching"
    }
    scheduler-errors = {
      what       = "The scheduler fails: nothing new is submitted by it (managers run the same tick, if they have the registry)"
      namespace  = "AWS/Lambda", metric = "Errors", statistic = "Sum"
      dimensions = { FunctionName = it.function_name }
      above      = 0, periods = 5, period_s = 60, missing = "notBreaching"
    }
    scheduler-slow = {
      what       = "A tick takes more than half a minute: it soon cannot keep up"
      namespace  = "AWS/Lambda", metric = "Duration", statistic = "Maximum"
      dimensions = { FunctionName = it.function_name }
      above      = 30000, periods = 3, period_s = 300, missing = "notBreaching"
    }
  }]

  of_silent_scheduler = [for it in var.watched.scheduler[*] : {
    scheduler-silent = {
      what       = "No tick for a quarter of an hour"
      namespace  = "AWS/Lambda", metric = "Invocations", statistic = "Sum"
      dimensions = { FunctionName = it.function_name }
      below      = 1, periods = 3, period_s = 300, missing = "breaching"
    }
  } if it.enabled]

  of_registry = [for it in var.watched.registry[*] : {
    registry-throttled = {
      what       = "The registry throttles: ticks take longer"
      namespace  = "AWS/DynamoDB", metric = "ThrottledRequests", statistic = "Sum"
      dimensions = { TableName = it.table_name }
      above      = 10, periods = 3, period_s = 300, missing = "notBreaching"
    }
  }]

  of_store = [for it in var.watched.store[*] : {
    store-disk = {
      what       = "A tenth of the store's disk is left; a store without disk stops the cluster"
      namespace  = "AWS/RDS", metric = "FreeStorageSpace", statistic = "Minimum"
      dimensions = { DBInstanceIdentifier = it.identifier }
      below      = it.storage_gb * 107374182, periods = 3, period_s = 300, missing = "breaching"
    }
    store-cpu = {
      what       = "The store's processor is busy: commits take longer"
      namespace  = "AWS/RDS", metric = "CPUUtilization", statistic = "Average"
      dimensions = { DBInstanceIdentifier = it.identifier }
      above      = it.cpu_percent, periods = 3, period_s = 300, missing = "notBreaching"
    }
    store-memory = {
      what       = "The store has little memory left"
      namespace  = "AWS/RDS", metric = "FreeableMemory", statistic = "Minimum"
      dimensions = { DBInstanceIdentifier = it.identifier }
      below      = it.memory_bytes, periods = 3, period_s = 300, missing = "notBreaching"
    }
  }]

  of_coordination = [for it in var.watched.coordination[*] : { for letter, id in it.instance_ids :
    "etcd-${letter}-down" => {
      what       = "The machine of etcd-${letter} fails its checks; with two of them gone no leader can be elected"
      namespace  = "AWS/EC2", metric = "StatusCheckFailed", statistic = "Maximum"
      dimensions = { InstanceId = id }
      above      = 0, periods = 2, period_s = 60, missing = "breaching"
    }
  }]

  of_cluster = [for it in var.watched.cluster[*] : {
    no-leader = {
      what       = "No leader has published for five minutes: no manager leads, or its metrics do not arrive"
      namespace  = "Assay", metric = "NodesLive", statistic = "SampleCount"
      dimensions = { Cluster = var.name }
      below      = 1, periods = 5, period_s = 60, missing = "breaching"
    }
    nodes-missing = {
      what       = "Fewer data nodes live than there must be"
      namespace  = "Assay", metric = "NodesLive", statistic = "Maximum"
      dimensions = { Cluster = var.name }
      below      = it.nodes_min, periods = 10, period_s = 60, missing = "notBreaching"
    }
    nodes-at-bound = {
      what       = "As many data nodes are wanted as there may be: raise the bound, or the backlog grows"
      namespace  = "Assay", metric = "NodesDesired", statistic = "Minimum"
      dimensions = { Cluster = var.name }
      above      = it.nodes_max - 1, periods = 6, period_s = 300, missing = "notBreaching"
    }
    managers-missing = {
      what       = "Fewer managers run than there must be: a lost leader would have no successor"
      namespace  = "ECS/ContainerInsights", metric = "RunningTaskCount", statistic = "Minimum"
      dimensions = { ClusterName = it.cluster_name, ServiceName = it.services.manager }
      below      = it.managers_min, periods = 10, period_s = 60, missing = "breaching"
    }
    node-memory = {
      what       = "Data nodes use nearly all of their memory: tasks are soon killed for it"
      namespace  = "AWS/ECS", metric = "MemoryUtilization", statistic = "Maximum"
      dimensions = { ClusterName = it.cluster_name, ServiceName = it.services.node }
      above      = 92, periods = 5, period_s = 60, missing = "notBreaching"
    }
  } if it.running]

  of_gateway = [for it in var.watched.gateway[*] : {
    gateway-errors = {
      what       = "Gateways answer with errors of their own"
      namespace  = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", statistic = "Sum"
      dimensions = { LoadBalancer = it.load_balancer_suffix }
      above      = 10, periods = 3, period_s = 300, missing = "notBreaching"
    }
    gateway-unhealthy = {
      what       = "A gateway fails its health checks"
      namespace  = "AWS/ApplicationELB", metric = "UnHealthyHostCount", statistic = "Maximum"
      dimensions = { LoadBalancer = it.load_balancer_suffix, TargetGroup = it.target_group_suffix }
      above      = 0, periods = 5, period_s = 60, missing = "notBreaching"
    }
  }]

  alarms = merge(concat(
    local.of_scheduler,
    local.of_silent_scheduler,
    local.of_registry,
    local.of_store,
    local.of_coordination,
    local.of_cluster,
    local.of_gateway,
  )...)
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.what
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = try(each.value.below, null) == null ? "GreaterThanThreshold" : "LessThanThreshold"
  threshold           = try(each.value.below, each.value.above)
  period              = each.value.period_s
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}
