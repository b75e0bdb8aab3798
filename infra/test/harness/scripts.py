"""The script that makes a member of etcd ready, run for real in a folder of its own.

Comes in: modules/coordination/files/etcd-prepare. Goes out: what it did that it must not. `aws` and
what needs root or another user are stand-ins; everything else is the machine's own.
"""

import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

from .tf import INFRA

SCRIPT = INFRA / "modules/coordination/files/etcd-prepare"
AWS = """#!/bin/bash
case "$1" in
  s3) cp "$SANDBOX/archive.tar.gz" "${@: -1}" ;;
  secretsmanager) cat "$SANDBOX/secret.json" ;;
esac
"""
INSTALL = """#!/bin/bash
declare -a kept=()
while [ $# -gt 0 ]; do case "$1" in -o|-g) shift 2 ;; *) kept+=("$1"); shift ;; esac; done
exec /usr/bin/install "${kept[@]}"
"""
PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


class Sandbox:
    """A machine's folders, and programs that stand before the real ones."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.bin = self.folder / "stand-ins"
        self.bin.mkdir()
        (self.folder / "usr/local/bin").mkdir(parents=True)
        for name, text in (("aws", AWS), ("install", INSTALL), ("chown", "#!/bin/bash\n")):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        release = self.folder / "etcd-v0-linux-amd64"
        release.mkdir()
        for name in ("etcd", "etcdctl"):
            (release / name).write_text("#!/bin/sh\necho " + name + "\n")
        with tarfile.open(self.folder / "archive.tar.gz", "w:gz") as archive:
            archive.add(release, arcname=release.name)
        self.sha = hashlib.sha256((self.folder / "archive.tar.gz").read_bytes()).hexdigest()

    def run(self, step, sha=None):
        """Exit code and words of one step."""
        settings = self.folder / "member.env"
        settings.write_text(
            f"MEMBER=etcd-a\nREGION=eu-central-1\nARCHIVE=s3://bucket/etcd/x.tar.gz\nSHA256={sha or self.sha}\n"
            "SECRET=arn:aws:secretsmanager:x\nVOLUME=vol-0123456789abcdef0\n"
        )
        environment = {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "SANDBOX": str(self.folder),
            "ETCD_SETTINGS": str(settings),
            "ETCD_ROOT": str(self.folder),
        }
        done = subprocess.run(["bash", str(SCRIPT), step], env=environment, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def secret(self, **parts):
        """What Secrets Manager answers."""
        (self.folder / "secret.json").write_text(json.dumps(parts))

    def certificate(self, part):
        """What is in force."""
        path = self.folder / f"etc/etcd/tls/{part}.pem"
        return path.read_text() if path.exists() else None


def findings():
    """What is wrong with the script."""
    for path in (SCRIPT, SCRIPT.with_name("etcd-restrict"), INFRA / "test/tools"):
        done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
        if done.returncode:
            yield f"{path.name}: {done.stderr}"
    with tempfile.TemporaryDirectory() as folder:
        yield from _program(Sandbox(folder))
    with tempfile.TemporaryDirectory() as folder:
        yield from _certificate(Sandbox(folder))


def _program(box):
    program = box.folder / "usr/local/bin/etcd"
    code, said = box.run("program", sha="0" * 64)
    if code == 0 or program.exists() or "is not what etcd_sha256 says" not in said:
        yield f"an archive with another checksum is used: {code} {said}"
    code, said = box.run("program")
    if code != 0 or not program.exists():
        yield f"the program is not installed: {code} {said}"
    os.remove(box.folder / "archive.tar.gz")
    code, said = box.run("program")
    if code != 0:
        yield f"a program that is there is fetched again: {said}"
    code, said = box.run("program", sha="1" * 64)
    if code == 0 or "cannot fetch" not in said:
        yield f"another version that is not uploaded is passed over: {code} {said}"


def _certificate(box):
    code, said = box.run("certificate")
    if code == 0 or "no value yet" not in said:
        yield f"a secret without a value is passed over: {code} {said}"
    box.secret(ca=PEM.format("ca"), cert=PEM.format("one"), key=PEM.format("key"))
    code, said = box.run("certificate")
    if code != 0 or "one" not in (box.certificate("cert") or ""):
        yield f"a certificate is not put in its place: {code} {said}"
    box.secret(ca=PEM.format("ca"), cert=PEM.format("two"), key="")
    code, said = box.run("certificate")
    if code == 0 or "one" not in (box.certificate("cert") or "") or "no key in PEM" not in said:
        yield f"half of a certificate replaces a whole one: {code} {said}"
    box.secret(ca=PEM.format("ca"), cert=PEM.format("three"), key=PEM.format("key"))
    code, said = box.run("certificate")
    mode = (box.folder / "etc/etcd/tls/key.pem").stat().st_mode & 0o777
    if code != 0 or "three" not in (box.certificate("cert") or "") or mode != 0o400:
        yield f"a renewed certificate is not taken up: {code} {mode:o} {said}"
