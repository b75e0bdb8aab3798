"""Terraform, run on a copy of the tree.

Comes in: a folder of infra/. Goes out: what terraform says. The provider is taken from a mirror on
this machine when there is one; no configuration that names it is ever left behind. The tree itself
is never written to.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

INFRA = Path(__file__).resolve().parents[2]
PROVIDER = "registry.terraform.io/hashicorp/aws"
VERSION = "5.100.0"

# Terraform at an emulator: an unmodified root, this beside it, and the environment below.
OVERRIDE = """\
terraform {
  backend "local" {}
}
provider "aws" {
  s3_use_path_style       = true
  skip_metadata_api_check = true
  max_retries             = 3
}
"""


class Failed(Exception):
    """A step that did not do what it should; the message says what."""


def find_mirror():
    """The folder of a provider mirror, or None."""
    named = os.environ.get("TF_MIRROR")
    if named is not None:
        return named if Path(named, PROVIDER).is_dir() else None
    found = subprocess.run(
        ["find", "/", "-maxdepth", "5", "-type", "d", "-path", f"*/{PROVIDER}", "-not", "-path", "/proc/*"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split("\n")[0]
    return found.removesuffix("/" + PROVIDER) or None


class Terraform:
    """Terraform on a copy of infra/."""

    def __init__(self, mirror):
        self.place = Path(tempfile.mkdtemp(prefix="assay-infra-"))
        shutil.copytree(INFRA, self.place / "infra", ignore=shutil.ignore_patterns(".terraform", "__pycache__", "*.tfstate*"))
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TF_"))}
        self.environment.update(TF_IN_AUTOMATION="1", TF_INPUT="0", CHECKPOINT_DISABLE="1")
        if mirror:
            rc = self.place / "terraform.rc"
            rc.write_text(
                "disable_checkpoint = true\nprovider_installation {\n"
                f'  filesystem_mirror {{\n    path    = "{mirror}"\n    include = ["{PROVIDER}"]\n  }}\n'
                f'  direct {{\n    exclude = ["{PROVIDER}"]\n  }}\n}}\n'
            )
            self.environment["TF_CLI_CONFIG_FILE"] = str(rc)

    def folder(self, name):
        """The copy of the folder `name` of infra/."""
        return self.place / "infra" / name

    def run(self, folder, *arguments, expect=(0,), extra=None):
        """Runs terraform in the copy of `folder`; gives its output, and its code if several are expected."""
        done = subprocess.run(
            ["terraform", f"-chdir={self.folder(folder)}", *arguments],
            env={**self.environment, **(extra or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in expect:
            said = (done.stdout[-6000:] + "\n" + done.stderr[-6000:]).strip()
            raise Failed(f"terraform {' '.join(arguments)} in {folder} ended with {done.returncode}:\n{said}")
        if len(expect) > 1:
            return done.returncode, done.stdout + done.stderr
        return done.stdout

    def init(self, folder):
        """Initialises `folder`; a root's lock file must do as it is."""
        locked = (self.folder(folder) / ".terraform.lock.hcl").exists()
        self.run(folder, "init", "-no-color", "-backend=false" if not locked else "-input=false", *(["-lockfile=readonly"] if locked else []))

    def clean(self):
        """Removes the copy."""
        shutil.rmtree(self.place, ignore_errors=True)


def modules():
    """Folders of modules, in order."""
    return sorted(f"modules/{p.name}" for p in (INFRA / "modules").iterdir() if (p / "versions.tf").exists())


def roots():
    """Folders of roots: what is applied."""
    return ["staging"] + sorted(f"examples/{p.name}" for p in (INFRA / "examples").iterdir() if p.is_dir())
