"""Hands out access tokens."""

from lookalike.handlers.http import http_handler
from lookalike.wire.baidu import token_endpoint

handler = http_handler("token", token_endpoint.ROUTES)
