"""python-socketio's Redis managers, asyncio and threaded: two server processes with a client on each."""

import itertools
import queue

import pytest
import redis
import socketio
from worker import Worker

TIMEOUT_SECONDS = 5
channels = itertools.count(1)
flavours = [
    pytest.param("async", marks=pytest.mark.row("python-socketio", mode="AsyncRedisManager")),
    pytest.param("threaded", marks=pytest.mark.row("python-socketio", mode="RedisManager")),
]


class Client:
    """A Socket.IO client that queues what it receives."""

    def __init__(self, port):
        self._received = queue.Queue()
        self._socket = socketio.Client(reconnection=False)
        self._socket.on("*", lambda event, *args: self._received.put((event, *args)))
        self._socket.on("disconnect", lambda *_: self._received.put(("disconnected",)))
        self._socket.connect(f"http://127.0.0.1:{port}", wait_timeout=TIMEOUT_SECONDS)
        self.sid = self._socket.get_sid()
        self.join = lambda room: self._socket.call("join", room, timeout=TIMEOUT_SECONDS)

    def next(self):
        return self._received.get(timeout=TIMEOUT_SECONDS)

    def close(self):
        self._socket.disconnect()


class Stage:
    """Servers A and B with the clients a and b."""

    def __init__(self, broker, flavour):
        channel = f"python-{next(channels)}"
        self.A, self.B = (Worker("socketio_worker.py", flavour, broker.url, channel) for _ in range(2))
        self.a, self.b = (Client(worker.greeting["port"]) for worker in (self.A, self.B))
        self._await_both_listening(broker, channel)

    def _await_both_listening(self, broker, channel):
        """The managers subscribe in the background and once only, so the broker is asked until it counts both."""
        with redis.Redis(port=broker.port) as control:
            for _ in range(500):
                if dict(control.pubsub_numsub(channel))[channel.encode()] == 2:
                    return
                control.ping()
        raise AssertionError("the two servers have not subscribed")

    def close(self):
        for end in (self.a, self.b):
            end.close()
        for end in (self.A, self.B):
            end.stop()


@pytest.fixture(params=flavours)
def stage(broker, request):
    stage = Stage(broker, request.param)
    yield stage
    stage.close()


def test_two_servers(stage):
    a, b, A, B = stage.a, stage.b, stage.A, stage.B

    for server in (A, B):
        server.ask(order="emit", event="to-all", data={"text": "☃"})
        assert a.next() == ("to-all", {"text": "☃"})
        assert b.next() == ("to-all", {"text": "☃"})

    b.join("room")
    A.ask(order="emit", event="to-room", data=1, to="room")
    assert b.next() == ("to-room", 1)

    A.ask(order="emit", event="to-others", data=2, skip_sid=b.sid)
    assert a.next() == ("to-others", 2), "a was not in the room, so this is the first it receives"

    A.ask(order="emit", event="to-one", data=3, to=b.sid)
    assert b.next() == ("to-one", 3), "b was skipped before"

    A.ask(order="disconnect", sid=b.sid)
    assert b.next() == ("disconnected",)
