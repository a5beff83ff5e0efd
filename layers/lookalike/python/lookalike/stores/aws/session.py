"""The SDK's session with an AWS account."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError

from lookalike.errors import SettingsError

if TYPE_CHECKING:
    from botocore.config import Config


def open_session() -> boto3.Session:
    """Open a session from the SDK's environment variables; AWS_REGION is read too, as other SDKs and the AWS CLI do.

    Raises SettingsError, with the variable to set, if they name no region, no credentials, or an unknown profile.
    """
    try:
        session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        if session.region_name is None:
            raise SettingsError("AWS: which region? Set AWS_REGION, or AWS_PROFILE to a profile that names one")
        if session.get_credentials() is None:
            raise SettingsError("AWS: there are no credentials; set AWS_PROFILE, or run `aws configure`")
    except BotoCoreError as error:
        raise SettingsError(f"AWS: {error}; set AWS_PROFILE, or run `aws configure`") from error
    return session


def open_client(session: boto3.Session, service: Any, config: Config | None = None) -> Any:
    """Make a service's client. Raises SettingsError if the SDK's environment variables are not valid."""
    try:
        return session.client(service, config=config)
    except (BotoCoreError, ValueError) as error:  # ValueError for an endpoint that is no URL
        raise SettingsError(f"AWS: {error}") from error
