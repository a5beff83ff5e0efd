"""Reads a SAM template and prints it, and what SAM makes of it, as JSON: {"source": …, "translated": …}.

    .venv-sam/bin/python tests/template/translate.py < template.yaml

It runs where the SAM command line is installed, because SAM pins packages the service does not.
Folders stand for what `sam package` would have uploaded from them, so another folder is another content.
"""

from __future__ import annotations

import copy
import json
import os
import sys
from typing import Any

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

BASIC = "AWSLambdaBasicExecutionRole"


class ManagedPolicies:
    """The names that SAM would ask IAM for."""

    def load(self) -> dict[str, str]:
        """The one policy that SAM gives to every function, by its name."""
        return {BASIC: f"arn:aws:iam::aws:policy/service-role/{BASIC}"}


def packaged(template: dict[str, Any]) -> dict[str, Any]:
    """The template with objects in place of folders."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        for uri in {"CodeUri", "ContentUri"} & properties.keys():
            properties[uri] = f"s3://packages/{json.dumps(properties[uri])}"
    return template


if __name__ == "__main__":
    os.environ["AWS_DEFAULT_REGION"] = "eu-west-1"
    source = yaml_parse(sys.stdin.read())
    translated = transform(packaged(source), {}, ManagedPolicies())
    json.dump({"source": source, "translated": translated}, sys.stdout)
