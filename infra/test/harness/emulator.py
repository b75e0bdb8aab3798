"""A server of AWS APIs on loopback, and what has to be there before a root is applied to it."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

REGION = "eu-central-1"
SERVER = Path(__file__).with_name("aws_server.py")
START_S = 60


class Emulator:
    """One server, with a state of its own, for as long as the `with` block lasts."""

    def __init__(self, python, log):
        self.python, self.log = python, log

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        environment["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "false"
        self.process = subprocess.Popen(
            [self.python, str(SERVER), "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=open(self.log, "wb"),
            stderr=subprocess.STDOUT,
            env=environment,
        )
        deadline = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(self.url + "/moto-api/data.json", timeout=2).read()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__()
                    raise RuntimeError(f"the server of AWS APIs does not start: {Path(self.log).read_text()[-2000:]}") from None
                time.sleep(0.2)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def environment(self):
        """What terraform needs to talk to this server and to nothing else; the keys are of nobody."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def _ask(self, service, body, headers):
        scope = f"test/20260101/{REGION}/{service}/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0", **headers}
        request = urllib.request.Request(self.url, data=body.encode(), headers=headers)
        return urllib.request.urlopen(request, timeout=30).read().decode()

    def certificate(self):
        """The ARN of a certificate."""
        target = {"X-Amz-Target": "CertificateManager.RequestCertificate", "Content-Type": "application/x-amz-json-1.1"}
        return json.loads(self._ask("acm", '{"DomainName": "assay.example.com"}', target))["CertificateArn"]

    def vpc(self):
        """A VPC that was there before, with its subnets of three zones."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        subnets = self._ask("ec2", "Action=DescribeSubnets&Version=2016-11-15", form)
        vpc = re.findall(r"<vpcId>([^<]+)<", subnets)[0]
        ids = sorted(set(re.findall(r"<subnetId>([^<]+)<", subnets)))[:3]
        return {"vpc_id": vpc, "private_subnet_ids": ids, "public_subnet_ids": ids}

    def security_group(self, vpc, name):
        """The id of a security group that was there before."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        body = f"Action=CreateSecurityGroup&Version=2016-11-15&GroupName={name}&GroupDescription={name}&VpcId={vpc}"
        return re.findall(r"<groupId>([^<]+)<", self._ask("ec2", body, form))[0]
