"""The broker under test, chosen by the same environment variables as in lib/broker.mjs."""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
START_TIMEOUT_SECONDS = 10


class Broker:
    def __init__(self, flags=()):
        """`flags` are more of the broker's own, whichever it is."""
        self._flags = list(flags)
        self.name = "redis" if self.is_redis() else "carillon"
        self.binary = "redis-server" if self.name == "redis" else _carillon_binary()
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = tempfile.mkdtemp(prefix="carillon-compat-")
        self._log = open(pathlib.Path(self._folder) / "compat.log", "w+")
        self._process = subprocess.Popen(self._command(), stdout=self._log, stderr=subprocess.STDOUT)
        self._await_ping()

    @staticmethod
    def is_redis():
        return os.environ.get("BROKER") == "redis"

    def version(self):
        words = subprocess.run([self.binary, "--version"], capture_output=True, text=True, check=True).stdout
        return next(word.removeprefix("v=") for word in words.split() if any(c.isdigit() for c in word))

    def stop(self):
        died = self._process.poll()
        self._process.kill()
        self._process.wait()
        printed = self._printed()
        self._log.close()
        shutil.rmtree(self._folder)
        assert died is None, f"the broker died during the tests (code {died}); it printed:\n{printed}"

    def _command(self):
        address = f"127.0.0.1:{self.port}"
        if self.name == "redis":
            return [self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self._folder, *self._flags]
        data = str(pathlib.Path(self._folder) / "data")
        own = ["--admin-addr", "127.0.0.1:0", "--data-dir", data, "--log-level", "warn"]
        return [self.binary, "serve", "--client-addr", address, *own, *self._flags]

    def _await_ping(self):
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(64).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            assert time.monotonic() < deadline, f"{self.binary} does not answer PING; it printed:\n{self._printed()}"
            time.sleep(0.02)  # a port that is not open yet has no event to wait for

    def _printed(self):
        self._log.seek(0)
        return self._log.read()


def _carillon_binary():
    binary = os.environ.get("CARILLON_BIN") or str(REPOSITORY / "target/release/carillon")
    assert os.path.exists(binary), f"no broker at {binary}: build it, set CARILLON_BIN, or set BROKER=redis"
    return binary


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
