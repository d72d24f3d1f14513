"""Requests, responses and the exchange of one HTTP call."""

from mm_plugin.serve_http.exchange import HTTPHandler, run_http
from mm_plugin.serve_http.headers import Headers, ResponseHeaders
from mm_plugin.serve_http.request import Request, RequestBody
from mm_plugin.serve_http.response import Response

__all__ = (
    "HTTPHandler",
    "Headers",
    "Request",
    "RequestBody",
    "Response",
    "ResponseHeaders",
    "run_http",
)
