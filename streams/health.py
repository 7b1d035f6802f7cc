"""/metrics, /live, /ready and /replica on one port, served by a thread of their own."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from models.errors import ConfigurationError

__all__ = ["HealthServer"]


class HealthServer:
    """The worker's HTTP endpoint.

    Parameters
    ----------
    registry : CollectorRegistry
        What /metrics shows.
    is_live, ready : callables
        /live answers 200 while the first is true, else 503. The second returns whether the worker is ready and what
        /ready shows, with status 200 or 503.
    replica : callable
        Returns what /replica shows: position, row count and digest of every partition, for comparing workers.

    Raises
    ------
    ConfigurationError
        When the port is taken.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        is_live: Callable[[], bool],
        ready: Callable[[], tuple[bool, Any]],
        replica: Callable[[], Any],
    ) -> None:
        def pages(path: str) -> tuple[int, str, bytes] | None:
            if path == "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
            if path == "/live":
                return _page(200 if is_live() else 503, {"live": is_live()})
            if path == "/ready":
                is_ready, content = ready()
                return _page(200 if is_ready else 503, content)
            if path == "/replica":
                return _page(200, replica())
            return None

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    status, content_type, body = pages(self.path) or _page(404, {"error": f"no page {self.path}"})
                except Exception as error:  # noqa: BLE001  whoever asked is told; the worker goes on
                    status, content_type, body = _page(500, {"error": str(error) or type(error).__name__})
                with suppress(ConnectionError):  # whoever asked has not waited
                    self.send_response(status)
                    self.send_header("Content-Type", content_type)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Keep scrapes out of the log."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise ConfigurationError(
                f"metrics_port={port} cannot be used on {host} ({error.strerror}): give another --metrics-port"
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def start(self) -> None:
        """Serve in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End serving and free the port."""
        self._server.shutdown()
        self._server.server_close()


def _page(status: int, content: Any) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(content).encode() + b"\n"
