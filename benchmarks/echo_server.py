"""Answer every call with its own bytes: `python -m benchmarks.echo_server CONFIGURATION READY_FILE`.

This is the most that gRPC in Python does on this machine. The rules:

* Threads, limits, TLS and certificates are those of the ledger's configuration, and so is the interpreter's switch
  interval; there are no interceptors and nothing is parsed.
* It ends on SIGTERM, at once.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from benchmarks.load_generator import ECHO
from cellcustody.services.configuration import load_configuration
from cellcustody.services.open_ledger import SWITCH_INTERVAL_SECONDS


def _same(request: bytes, _context: grpc.ServicerContext) -> bytes:
    return request


def main() -> None:
    """Serves until SIGTERM; the port stands in the ready file when everything answers."""
    configuration = load_configuration(Path(sys.argv[1]))
    ready = Path(sys.argv[2])
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    settings, tls = configuration.grpc, configuration.tls
    server = grpc.server(
        ThreadPoolExecutor(settings.threads),
        maximum_concurrent_rpcs=settings.rpcs_max,
        options=[
            ("grpc.max_receive_message_length", settings.message_bytes_max),
            ("grpc.max_concurrent_streams", settings.streams_per_connection_max),
            ("grpc.so_reuseport", 0),
        ],
    )
    _, service, method = ECHO.split("/")
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(_same)}),)
    )
    credentials = grpc.ssl_server_credentials(
        [(tls.key.read_bytes(), tls.certificate.read_bytes())], tls.client_ca.read_bytes(), require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    asked_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_end.set())
    server.start()
    part = ready.with_name(f"{ready.name}.part")
    part.write_text(json.dumps({"grpc": f"127.0.0.1:{port}"}) + "\n", encoding="utf-8")
    part.replace(ready)
    asked_to_end.wait()
    server.stop(None).wait()


if __name__ == "__main__":
    main()
