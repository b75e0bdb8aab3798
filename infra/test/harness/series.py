"""Alerts and dashboards name series, labels and values of labels that the programs have.

Comes in: the files of modules/observability, the Rust sources. Goes out: names that no source holds.
A panel on a series that nobody writes shows nothing, and an alert on it never fires: both look well.
"""

import json
import re

from .tf import INFRA

FILES = INFRA / "modules/observability/files"
# `up` is Prometheus's own, `le` a histogram's; the others are set when scraping.
OWN_SERIES = {"up"}
OWN_LABELS = {"le", "job", "instance", "role", "cluster"}
WORDS = {"sum", "max", "min", "avg", "by", "without", "rate", "increase", "deriv", "histogram_quantile", "and", "or", "unless", "absent", "count", "clamp_min", "on", "vector", "ignoring", "time"}


def sources():
    """Text of the programs' own sources."""
    root = INFRA.parent
    found = [p for place in ("crates", "manager", "datanode", "scheduler-lambda", "gateway") for p in sorted((root / place).rglob("*.rs"))]
    return "\n".join(p.read_text() for p in found if "/tests/" not in str(p))


def written(text):
    """Names of the series that the sources write."""
    names = set(re.findall(r'"((?:assay|process)_[a-z0-9_]+)"', text))
    prefixes = set(re.findall(r'refresh\("([a-z_]+)"\)', text))
    endings = set(re.findall(r'format!\("\{prefix\}_([a-z_]+)"\)', text)) | set(re.findall(r'"((?:disk_)?io_bytes_total)"', text))
    return names | {f"{prefix}_{ending}" for prefix in prefixes for ending in endings}


def named(expression):
    """Series and labels of an expression."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    labels = set(re.findall(r"([a-zA-Z_]+)\s*(?:=~|!~|!=|=)\s*\"\"", bare))
    for group in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", bare):
        labels |= {label.strip() for label in group.split(",") if label.strip()}
    bare = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    return {n for n in re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare) if n not in WORDS}, labels


def matched(expression):
    """Pairs of label and value that an expression asks for exactly, or by the beginning of a value."""
    for label, how, value in re.findall(r'([a-zA-Z_]+)\s*(=~|=)\s*"([^"]*)"', expression):
        if how == "=":
            yield label, value, True
        elif re.fullmatch(r"[a-z_-]+\.\*", value):
            yield label, value[:-2], False


def unmatched(expression, text, jobs):
    """What an expression asks of labels that no series has: such a selector is empty for ever."""
    for label, value, whole in matched(expression):
        if label == "job":
            if not any(job == value if whole else job.startswith(value) for job in jobs):
                yield f"nothing is scraped as {label} {value}"
        elif label not in OWN_LABELS and whole and f'"{value}"' not in text:
            yield f"no label {label} is ever {value}"


def expressions():
    """Pairs of place and expression, of all files."""
    alerts = (FILES / "alerts.yml").read_text()
    names = re.findall(r"^\s*- alert: (\S+)$", alerts, re.M)
    found = re.findall(r"^\s*expr: (.+)$", alerts, re.M)
    if not names or len(names) != len(found):
        raise ValueError("alerts.yml: every alert has its expression on one line")
    yield from zip(names, found)
    board = json.loads((FILES / "grafana.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def findings():
    """Names that no source holds."""
    text = sources()
    known = written(text)
    jobs = re.findall(r"^\s*- job_name: (\S+)$", (FILES / "scrape.yml.tftpl").read_text(), re.M)
    if len(known) < 30:
        yield f"only {len(known)} series were found in the sources: the search is broken"
    for place, expression in expressions():
        series, labels = named(expression.replace("$__rate_interval", "5m"))
        if not series:
            yield f"{place}: names no series"
        for why in unmatched(expression, text, jobs):
            yield f"{place}: {why}"
        for one in series - OWN_SERIES:
            if one not in known and re.sub(r"_(bucket|sum|count)$", "", one) not in known:
                yield f"{place}: {one} is written by nobody"
        for label in labels - OWN_LABELS:
            if f'("{label}",' not in text:
                yield f"{place}: no series has the label {label}"
    # The search itself: a name that is not there is noticed.
    if named('sum by (le) (rate(assay_made_up_bucket{kind="x"}[5m]))') != ({"assay_made_up_bucket"}, {"le", "kind"}):
        yield "expressions are not read as they should be"
    if "assay_made_up" in known:
        yield "a name that is made up is known"
    for wrong in ('up{job="assay-made-up"}', 'up{job=~"made.*"}', 'assay_nodes{state="made_up"}'):
        if not list(unmatched(wrong, text, jobs)):
            yield f"{wrong} is taken for one that finds something"
