"""What those call who keep the server running: liveness, readiness, metrics."""

from __future__ import annotations

from starlette.responses import Response

from server.api.access import Access, Call, Endpoint, Served
from server.api.errors import json_response
from server.api.service import Service

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def healthz(service: Service, _call: Call) -> Response:
    """GET /healthz: 200 while every loop of the process turns."""
    return _health("failing", service.health.not_alive())


def readyz(service: Service, _call: Call) -> Response:
    """GET /readyz: 200 while records are taken and worked on."""
    return _health("not ready", service.health.not_ready())


def metrics(service: Service, _call: Call) -> Response:
    """GET /metrics: Prometheus' text format; docs/metrics.md lists all of them."""
    return Response(service.metrics(), media_type=METRICS_CONTENT_TYPE)


def operation_endpoints() -> list[Endpoint[Served]]:
    """Every listener has them."""
    return [
        Endpoint("GET", "/healthz", Access.PUBLIC, healthz),
        Endpoint("GET", "/readyz", Access.PUBLIC, readyz),
        Endpoint("GET", "/metrics", Access.METRICS, metrics),
    ]


def _health(word: str, failing: tuple[str, ...]) -> Response:
    if failing:
        return json_response({"status": word, "failing": failing}, 503)
    return json_response({"status": "ok"})
