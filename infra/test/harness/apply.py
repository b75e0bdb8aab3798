"""Roots applied to a server of AWS APIs: apply, a second plan without a difference, destroy.

Comes in: a root, the inputs that it needs. Goes out: its plan and its state as JSON, for the rules.
"""

import json
import zipfile

from .emulator import Emulator
from .tf import OVERRIDE, Failed

SHA = "0123456789abcdef" * 4
PARALLEL = "-parallelism=40"


def inputs(root, emulator, zip_path):
    """Inputs of `root` for a cluster that is thrown away."""
    common = {"lambda_zip": str(zip_path)}
    if root == "staging":
        return {
            **common,
            "image_tag": "1.0.0",
            "certificate_arn": emulator.certificate(),
            "etcd": {"sha256": SHA},
            "deletion_protection": False,
            "alarm_emails": ["ops@example.com"],
            "sources": {"object_arns": ["arn:aws:s3:::assay-lake/raw/*", "arn:aws:s3:::assay-lake/refined/*"]},
            # Not in moto: the Alertmanager of Managed Prometheus, budgets.
            "prometheus": {"enabled": True, "alertmanager": False},
            "budget": None,
        }
    if root == "examples/minimal":
        return {**common, "image_tag": "1.0.0", "etcd_sha256": SHA, "running": True}
    if root == "examples/existing-vpc":
        vpc = emulator.vpc()
        secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
        return {
            **common,
            "image_tag": "1.0.0",
            "running": True,
            "vpc": vpc,
            "etcd": {
                "endpoints": [f"https://etcd-{n}.example.internal:2379" for n in "123"],
                "client_secret_arn": secret + "etcd-AbCdEf",
                "security_group_id": emulator.security_group(vpc["vpc_id"], "etcd"),
            },
            "store": {
                "host": "db.example.internal",
                "resource_id": "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                "admin_name": "boss",
                "admin_secret_arn": secret + "db-AbCdEf",
                "security_group_id": emulator.security_group(vpc["vpc_id"], "db"),
            },
        }
    return common


def small_zip(path):
    """A zip for roots that are applied without running what they upload."""
    with zipfile.ZipFile(path, "w") as made:
        entry = zipfile.ZipInfo("bootstrap", (2026, 1, 1, 0, 0, 0))
        entry.external_attr = 0o755 << 16
        made.writestr(entry, "#!/bin/sh\nexit 1\n")


def cycle(terraform, root, python, say):
    """Plans, applies, plans again and destroys `root`; gives what the rules look at."""
    work = terraform.place / root.replace("/", "-")
    work.mkdir()
    zip_path = work / "scheduler.zip"
    small_zip(zip_path)
    (terraform.folder(root) / "emulator_override.tf").write_text(OVERRIDE)
    with Emulator(python, work / "server.log") as emulator:
        extra = emulator.environment()
        values = inputs(root, emulator, zip_path)
        (work / "in.tfvars.json").write_text(json.dumps(values))
        given = f"-var-file={work / 'in.tfvars.json'}"

        def terraform_run(*arguments, **named):
            return terraform.run(root, *arguments, extra=extra, **named)

        terraform_run("init", "-no-color", "-lockfile=readonly")
        plans = {}
        if root == "staging":
            # As it is meant to be: everything that a cluster which is thrown away switches off is on.
            meant = {k: v for k, v in values.items() if k != "deletion_protection"}
            meant["budget"] = {"limit_usd": 900, "emails": ["ops@example.com"]}
            meant["prometheus"] = {"enabled": True, "alertmanager": True}
            (work / "meant.tfvars.json").write_text(json.dumps(meant))
            terraform_run("plan", "-no-color", f"-var-file={work / 'meant.tfvars.json'}", f"-out={work / 'meant'}", PARALLEL)
            plans["meant"] = json.loads(terraform_run("show", "-json", str(work / "meant")))
        terraform_run("plan", "-no-color", given, f"-out={work / 'plan'}", PARALLEL)
        plans["plan"] = json.loads(terraform_run("show", "-json", str(work / "plan")))
        terraform_run("apply", "-no-color", PARALLEL, str(work / "plan"))
        say(f"{root}: applied")
        state = json.loads(terraform_run("show", "-json"))
        code, out = terraform_run("plan", "-no-color", "-detailed-exitcode", given, PARALLEL, expect=(0, 2))
        if code == 2:
            raise Failed(f"{root}: a second plan differs from what was just applied:\n{out[-8000:]}")
        say(f"{root}: a second plan has no difference")
        (work / "made.json").write_text(json.dumps([plans, state]))
        terraform_run("destroy", "-no-color", "-auto-approve", given, PARALLEL)
        left = terraform_run("state", "list").strip()
        if left:
            raise Failed(f"{root}: destroy left {left}")
        say(f"{root}: destroyed")
    return plans, state
