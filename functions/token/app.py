"""Hands out access tokens, and the console's sessions."""

from lookalike.handlers.http import http_handler
from lookalike.wire.baidu import token_endpoint
from lookalike.wire.http import routes_of
from lookalike.wire.native import session

handler = http_handler("token", (*token_endpoint.ROUTES, *routes_of("token", session.ROUTES)))
