"""The configuration that etcd's members are started with, given to three real etcds on loopback.

Comes in: the YAML of each member, as Terraform made it, and the script that says who may do what. Goes
out: what keeps three members from being a cluster that wants certificates, and lets each do its own. Only
addresses, folders and the certificates' place are replaced.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from .tf import INFRA

START_S = 60
RESTRICT = INFRA / "modules/coordination/files/etcd-restrict"


def _ports(count):
    """Free ports; all are held until the last is known."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _certificates(folder):
    """An authority, and certificates of it for loopback: of the members, of the cluster, of root."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=test", "-days", "2")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    sign = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    for name, place in (("a", "."), ("cluster", "cluster"), ("root", "root")):
        (folder / place).mkdir(exist_ok=True)
        openssl("req", *curve, "-keyout", f"{place}/key.pem", "-out", "request.pem", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", "request.pem", *sign, "-out", f"{place}/cert.pem")
        if place != ".":
            shutil.copy(folder / "ca.pem", folder / place / "ca.pem")


def _local(text, ports, folder, letter):
    """A member's configuration on loopback."""
    for other, (client, peer) in ports.items():
        text = re.sub(rf"https://etcd-{other}\.[a-z0-9.-]+:2379", f"https://127.0.0.1:{client}", text)
        text = re.sub(rf"https://etcd-{other}\.[a-z0-9.-]+:2380", f"https://127.0.0.1:{peer}", text)
    client, peer = ports[letter]
    text = text.replace("https://0.0.0.0:2379", f"https://127.0.0.1:{client}").replace("https://0.0.0.0:2380", f"https://127.0.0.1:{peer}")
    return text.replace("/var/lib/etcd/data", str(folder / f"data-{letter}")).replace("/etc/etcd/tls", str(folder))


def _ask(ports, folder, *words, certificate="."):
    """etcdctl, with the certificate in a folder or without any."""
    own = folder / certificate if certificate else None
    shown = [f"--cert={own / 'cert.pem'}", f"--key={own / 'key.pem'}"] if own else []
    everyone = ",".join(f"https://127.0.0.1:{client}" for client, _ in ports.values())
    return subprocess.run(
        ["etcdctl", f"--endpoints={everyone}", f"--cacert={folder / 'ca.pem'}", *shown, "--command-timeout=3s", *words],
        env={**os.environ, "ETCDCTL_API": "3"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def findings(configuration):
    """What keeps the three from being a cluster."""
    for program in ("etcd", "etcdctl", "openssl"):
        if shutil.which(program) is None:
            yield f"{program} is needed: apt-get install etcd-server etcd-client openssl"
            return
    with tempfile.TemporaryDirectory() as place:
        folder, members = Path(place), []
        _certificates(folder)
        free = _ports(2 * len(configuration))
        ports = {letter: (free[2 * i], free[2 * i + 1]) for i, letter in enumerate(sorted(configuration))}
        try:
            for letter, text in configuration.items():
                path = folder / f"etcd-{letter}.yaml"
                path.write_text(_local(text, ports, folder, letter))
                with open(folder / f"log-{letter}", "wb") as log:
                    environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCD_")}
                    members.append(subprocess.Popen(["etcd", "--config-file", str(path)], stdout=log, stderr=log, env=environment))
            yield from _cluster(ports, folder, len(configuration))
        finally:
            for member in members:
                member.send_signal(signal.SIGTERM)
            for member in members:
                try:
                    member.wait(15)
                except subprocess.TimeoutExpired:
                    member.kill()


def _cluster(ports, folder, count):
    deadline = time.monotonic() + START_S
    while _ask(ports, folder, "endpoint", "health").returncode != 0:
        if time.monotonic() > deadline:
            logs = "\n".join((folder / f"log-{letter}").read_text()[-1500:] for letter in ports)
            yield f"three members do not become a cluster within {START_S} s:\n{logs}"
            return
        time.sleep(0.3)
    members = _ask(ports, folder, "member", "list").stdout.strip().splitlines()
    if len(members) != count or not all("started" in line for line in members):
        yield f"not all are members: {members}"
    if _ask(ports, folder, "put", "/assay-test/key", "value").returncode != 0:
        yield "a client with a certificate cannot write"
    if _ask(ports, folder, "get", "/assay-test/key", certificate=None).returncode == 0:
        yield "a client without a certificate reads"
    yield from _restricted(ports, folder)


def _restrict(ports, folder, certificate):
    """The script as it runs on a member, with the certificate in a folder."""
    client, _ = next(iter(ports.values()))
    settings = folder / "member.env"
    settings.write_text(f"ENDPOINT=https://127.0.0.1:{client}\nPREFIX=/assay-test\n")
    environment = {**os.environ, "ETCD_SETTINGS": str(settings), "ETCD_TLS": str(folder / certificate)}
    done = subprocess.run(["bash", str(RESTRICT)], env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def _restricted(ports, folder):
    """What the script leaves open or shuts that it must not."""
    for certificate, word in ((".", "nothing else"), (".", "already"), ("root", "nothing else")):
        code, said = _restrict(ports, folder, certificate)
        if code != 0 or word not in said:
            yield f"etcd-restrict with {certificate}: {code} {said}"
    may = {
        ("cluster", "put", "/assay-test/key", "value"): True,
        ("cluster", "get", "--prefix", "/assay-test/"): True,
        ("cluster", "put", "/assay-testing/key", "value"): False,
        ("cluster", "get", "--prefix", "/"): False,
        ("cluster", "user", "add", "another", "--no-password"): False,
        ("cluster", "auth", "disable"): False,
        ("cluster", "snapshot", "save", str(folder / "snapshot")): False,
        (".", "get", "/assay-test/key"): False,
        (".", "put", "/assay-test/key", "value"): False,
        ("root", "put", "/elsewhere/key", "value"): True,
        ("root", "role", "get", "cluster"): True,
    }
    for (certificate, *words), allowed in may.items():
        done = _ask(ports, folder, *words, certificate=certificate)
        if (done.returncode == 0) != allowed:
            yield f"{certificate} {'may not' if allowed else 'may'} {' '.join(words)}: {done.stdout}{done.stderr}"
