"""Resources out of a plan or a state in JSON, in one form for both."""

import json


class Resource:
    """One resource: `values` is what is known, `unknown` names what is known only after apply."""

    def __init__(self, address, kind, values, unknown):
        self.address, self.kind, self.values, self.unknown = address, kind, values, unknown

    def get(self, name, default=None):
        """A value, or `default` when it is absent or null."""
        value = self.values.get(name)
        return default if value is None else value

    def is_unknown(self, name):
        """Whether the value is there, but not known yet."""
        return bool(self.unknown.get(name)) and self.values.get(name) is None

    def block(self, name):
        """The first block of that name, or {}."""
        found = self.values.get(name) or [{}]
        return found[0] if isinstance(found, list) and found else {}

    def policies(self):
        """Pairs of attribute and policy document, for those whose text is known."""
        for name in ("policy", "assume_role_policy"):
            text = self.values.get(name)
            if isinstance(text, str) and text.strip().startswith("{"):
                document = json.loads(text)
                if "Statement" in document:
                    yield name, document


def _walk(module):
    for resource in module.get("resources", []):
        if resource.get("mode") == "managed":
            yield resource
    for child in module.get("child_modules", []):
        yield from _walk(child)


def of_state(document):
    """Resources of `terraform show -json` of a state."""
    root = document["values"]["root_module"]
    return [Resource(r["address"], r["type"], r["values"], {}) for r in _walk(root)]


def of_plan(document):
    """Resources of `terraform show -json` of a plan, as they will be."""
    found = []
    for change in document["resource_changes"]:
        if change["mode"] == "managed" and change["change"]["after"] is not None:
            unknown = change["change"].get("after_unknown") or {}
            found.append(Resource(change["address"], change["type"], change["change"]["after"], unknown))
    return found


def of(document):
    """Resources of either."""
    return of_plan(document) if "resource_changes" in document else of_state(document)
