"""Runs a program of this folder as a process of its own: one JSON object per line in each direction."""

import json
import pathlib
import queue
import subprocess
import sys
import threading

TIMEOUT_SECONDS = 10


class Worker:
    def __init__(self, program, *arguments):
        self._process = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).with_name(program)), *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.greeting = self.hear()

    def ask(self, **order):
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self.hear()

    def hear(self):
        try:
            line = self._lines.get(timeout=TIMEOUT_SECONDS)
        except queue.Empty:
            raise AssertionError(f"a worker said nothing for {TIMEOUT_SECONDS} s: is the broker's delivery complete?") from None
        assert line is not None, "a worker process exited: its traceback is above"
        return json.loads(line)

    def stop(self):
        alive = self._process.poll() is None
        self._process.kill()
        self._process.wait()
        assert alive, "a worker process had exited before the test ended"

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)
