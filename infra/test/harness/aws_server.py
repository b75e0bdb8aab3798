"""moto's server of AWS APIs on loopback, corrected where its answers deviate from AWS's.

Comes in: `HOST-PORT` options of moto's own server. Goes out: that server. What is corrected is the
shape of answers alone (a field that was sent and is not read back, a missing call, an id that two
resources share): each correction says what deviates, and none may accept what AWS refuses.
"""

import json
import sys
import uuid

CORRECTIONS = []


def correction(function):
    """Collects what is applied before the server starts."""
    CORRECTIONS.append(function)
    return function


def around(owner, name):
    """Replaces `owner.name` by a function that gets the original as its first argument."""

    def bind(replacement):
        original = getattr(owner, name)
        setattr(owner, name, lambda *args, **named: replacement(original, *args, **named))
        return replacement

    return bind


@correction
def tags_of_scalable_targets():
    """moto has no ListTagsForResource of Application Auto Scaling; the provider waits minutes for it."""
    from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse as Responses

    kept = {}

    def body(response):
        return json.loads(response.body)

    def tag_resource(response):
        kept.setdefault(body(response)["ResourceARN"], {}).update(body(response).get("Tags", {}))
        return "{}"

    def untag_resource(response):
        for key in body(response)["TagKeys"]:
            kept.get(body(response)["ResourceARN"], {}).pop(key, None)
        return "{}"

    def list_tags_for_resource(response):
        return json.dumps({"Tags": kept.get(body(response)["ResourceARN"], {})})

    @around(Responses, "register_scalable_target")
    def register(original, response):
        answer = original(response)
        kept.setdefault(json.loads(answer)["ScalableTargetARN"], {}).update(body(response).get("Tags", {}))
        return answer

    Responses.tag_resource = tag_resource
    Responses.untag_resource = untag_resource
    Responses.list_tags_for_resource = list_tags_for_resource


@correction
def parts_of_functions():
    """moto drops a function's dead-letter queue, the form of its log and its key."""
    from moto.awslambda.models import LambdaFunction

    parts = ("DeadLetterConfig", "LoggingConfig", "KMSKeyArn")

    @around(LambdaFunction, "__init__")
    def made(original, function, *args, **named):
        original(function, *args, **named)
        spec = named["spec"] if "spec" in named else args[1]
        function.sent = {part: spec[part] for part in parts if spec.get(part)}

    @around(LambdaFunction, "get_configuration")
    def read(original, function, *args, **named):
        return {**original(function, *args, **named), **getattr(function, "sent", {})}

    @around(LambdaFunction, "update_configuration")
    def updated(original, function, spec):
        function.sent.update({part: spec[part] for part in parts if part in spec})
        return original(function, spec)


@correction
def databases():
    """moto's parameters of a group lack their source; its instances share one resource id, and
    forget how they are monitored."""
    from moto.rds.models import DBInstance, DBParameterGroup

    @around(DBParameterGroup, "update_parameters")
    def update(original, group, parameters):
        parameters = list(parameters)
        original(group, parameters)
        for parameter in parameters:
            group.parameters[parameter["ParameterName"]]["Source"] = "user"

    @around(DBInstance, "__init__")
    def made(original, instance, *args, **named):
        original(instance, *args, **named)
        instance.dbi_resource_id = "db-" + uuid.uuid4().hex[:26].upper()
        asked = named.get("enable_performance_insights") or named.get("performance_insights_enabled")
        instance.performance_insights_enabled = bool(asked)
        for name in (
            "monitoring_interval",
            "monitoring_role_arn",
            "performance_insights_retention_period",
            "performance_insights_kms_key_id",
        ):
            if named.get(name):
                setattr(instance, name, named[name])


@correction
def redrive_policies():
    """moto writes a queue's redrive policy with blanks, which reads as a change."""
    from moto.sqs.models import Queue

    original = Queue.attributes.fget

    def attributes(queue):
        found = original(queue)
        if found.get("RedrivePolicy"):
            found["RedrivePolicy"] = json.dumps(json.loads(found["RedrivePolicy"]), separators=(",", ":"))
        return found

    Queue.attributes = property(attributes)


@correction
def rules_of_security_groups():
    """moto forgets the description of a rule that names a group or a prefix list."""
    from moto.ec2.models.security_groups import SecurityGroupRule

    @around(SecurityGroupRule, "__init__")
    def made(original, rule, *args, **named):
        original(rule, *args, **named)
        lists = named.get("prefix_list_id") or (args[7] if len(args) > 7 else None) or {}
        rule.said = (
            rule.ip_range.get("Description")
            or rule.source_group.get("Description")
            or (lists.get("Description") if isinstance(lists, dict) else None)
        )

    SecurityGroupRule.description = property(lambda rule: rule.said)


@correction
def detailed_monitoring():
    """moto knows MonitorInstances by name only."""
    from moto.core.responses import ActionResult
    from moto.ec2.responses.monitoring import Monitoring

    def change(state):
        def answer(response):
            instances = [response.ec2_backend.get_instance(i) for i in response._get_param("InstanceIds", [])]
            for instance in instances:
                instance.monitoring_state = state
            found = [{"InstanceId": i.id, "Monitoring": {"State": state}} for i in instances]
            return ActionResult({"InstanceMonitorings": found})

        return answer

    Monitoring.monitor_instances = change("enabled")
    Monitoring.unmonitor_instances = change("disabled")


@correction
def interfaces_that_outlive_a_machine():
    """moto leaves the interfaces of a terminated machine attached to it."""
    from moto.ec2.models.instances import Instance

    @around(Instance, "terminate")
    def terminate(original, instance):
        before = original(instance)
        for interface in list(instance.nics.values()):
            if not interface.delete_on_termination:
                # It stays in the machine's own list, without which moto cannot describe the machine.
                interface.instance = interface.attachment_id = interface.attach_time = None
                interface.status = "available"
        return before


@correction
def interfaces_without_a_public_address():
    """moto shows an empty association, which reads as a public address."""
    from moto.ec2.models.elastic_network_interfaces import NetworkInterface

    original = NetworkInterface.association.fget
    NetworkInterface.association = property(lambda interface: original(interface) or None)


@correction
def keys_of_workspaces():
    """moto drops the key of a workspace of Managed Prometheus."""
    from moto.amp.models import Workspace
    from moto.amp.responses import PrometheusServiceResponse as Responses

    @around(Responses, "create_workspace")
    def create(original, response):
        answer = original(response)
        key = json.loads(response.body or "{}").get("kmsKeyArn")
        response.amp_backend.describe_workspace(json.loads(answer)["workspaceId"]).key = key
        return answer

    @around(Workspace, "to_dict")
    def read(original, workspace):
        key = getattr(workspace, "key", None)
        return {**original(workspace), **({"kmsKeyArn": key} if key else {})}


@correction
def services():
    """moto drops some fields of an ECS service, and gives each a launch type."""
    from moto.ecs.responses import EC2ContainerServiceResponse as Responses

    def keep(response, service):
        given = response._get_param("availabilityZoneRebalancing")
        service.availability_zone_rebalancing = given or "DISABLED"
        service.health_check_grace_period_seconds = response._get_int_param("healthCheckGracePeriodSeconds") or 0
        service.deployment_configuration = response._get_param("deploymentConfiguration") or {}
        service.enable_ecs_managed_tags = bool(response._get_param("enableECSManagedTags"))
        service.capacity_provider_strategy = response._get_param("capacityProviderStrategy") or []
        if service.capacity_provider_strategy:
            service.launch_type = None

    @around(Responses, "create_service")
    def create(original, response):
        answer = original(response)
        keep(response, answer.result["service"])
        return answer


if __name__ == "__main__":
    import moto.server

    for apply in CORRECTIONS:
        apply()
    moto.server.main(sys.argv[1:])
