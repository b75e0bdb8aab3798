"""The tables of inputs and outputs in each README, written from the files that define them.

Comes in: variables.tf and outputs.tf of a folder. Goes out: the README with its tables as they have to
be; `python3 infra/test/harness/readme.py` writes them. The text around the tables is people's.
"""

import re
import sys
from pathlib import Path

INFRA = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"


def blocks(text, kind):
    """Pairs of name and body of the blocks of a kind."""
    return re.findall(rf'^{kind} "([a-z0-9_]+)" {{\n(.*?)^}}', text, re.M | re.S)


def described(body):
    """The description of a block, or None."""
    found = re.search(r'^  description = "(.*)"$', body, re.M)
    return found.group(1).replace('\\"', '"').replace("|", "\\|") if found else None


def default(body):
    """What an input is when it is not given."""
    found = re.search(r"^  default\s+= (.*)$", body, re.M)
    if not found:
        return "**required**"
    return "…" if found.group(1) in ("{", "[") else f"`{found.group(1)}`"


def tables(folder):
    """Both tables as Markdown."""
    lines = []
    inputs = blocks((folder / "variables.tf").read_text(), "variable")
    lines += ["| input | default | what |", "|---|---|---|"]
    lines += [f"| `{n}` | {default(b)} | {described(b)} |" for n, b in sorted(inputs, key=lambda i: ("default" in i[1], i[0]))]
    lines += ["", "| output | what |", "|---|---|"]
    lines += [f"| `{n}` | {described(b)} |" for n, b in blocks((folder / "outputs.tf").read_text(), "output")]
    return "\n".join(lines)


def folders():
    """Every module and root."""
    return sorted(p.parent for p in INFRA.rglob("variables.tf") if ".terraform" not in str(p))


def whole(folder):
    """The README as it has to be."""
    text = (folder / "README.md").read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{tables(folder)}\n{END}{after}"


def findings():
    """What is not described or not validated, and tables that are not as they have to be."""
    for folder in folders():
        name = folder.relative_to(INFRA)
        for file, kind in (("variables.tf", "variable"), ("outputs.tf", "output")):
            for block, body in blocks((folder / file).read_text(), kind):
                if not described(body):
                    yield f"{name}: {kind} {block} has no description"
        for block, body in blocks((folder / "variables.tf").read_text(), "variable"):
            if "validation {" not in body and not re.search(r"^  type\s+= bool$", body, re.M):
                yield f"{name}: variable {block} takes anything: validate it"
        for needed in ("versions.tf", "main.tf", "README.md"):
            if not (folder / needed).exists():
                yield f"{name} has no {needed}"
        if (folder / "README.md").exists() and (folder / "README.md").read_text() != whole(folder):
            yield f"{name}/README.md: its tables differ: python3 infra/test/harness/readme.py"


if __name__ == "__main__":
    for one in folders():
        (one / "README.md").write_text(whole(one))
    sys.exit()
