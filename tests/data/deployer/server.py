"""A server with a worker below it, as BentoML's: started with the same words, it behaves as told.

BEHAVIOUR: ``import-crash``, ``worker-crash``, ``never-ready``, ``hang-after-ready``, ``greedy``,
``greedy-worker`` or nothing.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEHAVIOUR = os.environ.get("BEHAVIOUR", "")


class Handler(BaseHTTPRequestHandler):
    begun = time.monotonic()

    def do_GET(self) -> None:
        if self.path == "/readyz" and BEHAVIOUR == "never-ready":
            return self.answer(503, b"")
        if BEHAVIOUR == "hang-after-ready" and self.path == "/livez":
            time.sleep(60)
        if self.path == "/slow":
            time.sleep(1)
        if self.path == "/take":
            greedy = subprocess.run([sys.executable, "-c", "b'x' * (256 << 20)"], check=False)
            return self.answer(200, str(greedy.returncode).encode())
        return self.answer(200, repr(dict(os.environ)).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:  # type: ignore[explicit-override]  # runs in an environment of its own
        print("request", *words, flush=True)


def work(descriptor: int) -> None:
    """The worker: serves the socket of the server above it, in a session of its own."""
    if BEHAVIOUR == "worker-crash":
        time.sleep(1.5)  # longer than a probe that hangs: somebody must have seen it
        sys.exit("the worker broke")
    if BEHAVIOUR == "greedy-worker":
        take()
    server = ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
    server.daemon_threads = False
    server.socket = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
    server.server_close()


def take() -> None:
    """More memory than the tests let it have."""
    print("loading the weights", flush=True)
    time.sleep(0.2)  # the words are in the log by then
    print(len(b"x" * (256 << 20)), flush=True)


def serve(port: int) -> None:
    if BEHAVIOUR == "greedy":
        take()
    if BEHAVIOUR == "import-crash":
        sys.exit("RuntimeError: the weights are not where they should be")
    listener = socket.create_server(("127.0.0.1", port))
    worker = subprocess.Popen(
        [sys.executable, __file__, "_bentoml_impl.worker.service", str(listener.fileno())],
        pass_fds=[listener.fileno()],
        start_new_session=True,
    )
    signal.signal(signal.SIGTERM, lambda *_: worker.terminate())
    print("serving on", port, flush=True)
    worker.wait()
    if worker.returncode:
        time.sleep(60)  # the server outlives its workers


if __name__ == "__main__":
    if sys.argv[1].startswith("_bentoml_impl"):
        work(int(sys.argv[2]))
    else:
        serve(int(sys.argv[sys.argv.index("--port") + 1]))
