"""Reads the arguments of `sam deploy` and prints the parameters that SAM takes from them, as JSON.

    .venv-sam/bin/python tests/template/overrides.py --config-env dev --parameter-overrides Metrics=none

It runs where the SAM command line is installed, because SAM pins packages the service does not.
"""

from __future__ import annotations

import json
import sys

import click
from samcli.cli.types import CfnParameterOverridesType
from samcli.commands.deploy.command import cli

if __name__ == "__main__":
    context = click.Context(cli, info_name="deploy")
    given, rest, _ = cli.make_parser(context).parse_args(sys.argv[1:])
    assert not rest, rest
    json.dump(CfnParameterOverridesType().convert(given["parameter_overrides"], None, context), sys.stdout)
