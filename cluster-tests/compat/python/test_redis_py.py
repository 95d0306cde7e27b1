"""redis-py itself, synchronous and asyncio, over RESP2 and RESP3."""

import asyncio

import pytest
import redis
import redis.asyncio

TIMEOUT_SECONDS = 4
both_protocols = pytest.mark.parametrize("protocol", [2, 3])


def next_of(subscription, kind):
    """The next message, which must be of this kind: subscribe, message, pmessage, smessage …"""
    message = subscription.get_message(timeout=TIMEOUT_SECONDS)
    assert message is not None, f"waited {TIMEOUT_SECONDS} s for a {kind}"
    assert message["type"] == kind
    return message


@pytest.fixture
def client(broker, protocol):
    with redis.Redis(port=broker.port, protocol=protocol) as client:
        yield client


@pytest.mark.row("redis", mode="synchronous")
@both_protocols
def test_channels_and_patterns(client, protocol):
    with client.pubsub() as subscription:
        subscription.subscribe(f"news-{protocol}")
        subscription.psubscribe(f"new?-{protocol}")
        next_of(subscription, "subscribe")
        next_of(subscription, "psubscribe")
        assert client.publish(f"news-{protocol}", b"\x00\r\n\xff") == 2
        assert next_of(subscription, "message")["data"] == b"\x00\r\n\xff"
        assert next_of(subscription, "pmessage")["pattern"] == f"new?-{protocol}".encode()

        subscription.unsubscribe()
        next_of(subscription, "unsubscribe")
        assert client.publish(f"news-{protocol}", "to the pattern only") == 1
        assert next_of(subscription, "pmessage")["data"] == b"to the pattern only"


@pytest.mark.row("redis", mode="synchronous")
@both_protocols
def test_shard_channels(client, protocol):
    with client.pubsub() as subscription:
        subscription.ssubscribe(f"shard-{protocol}")
        next_of(subscription, "ssubscribe")
        assert client.execute_command("SPUBLISH", f"shard-{protocol}", "hello") == 1
        assert next_of(subscription, "smessage")["data"] == b"hello"
        assert client.publish(f"shard-{protocol}", "a channel of the same name is another channel") == 0


@pytest.mark.row("redis", mode="synchronous")
@both_protocols
def test_a_transaction_of_publishes(client, protocol):
    with client.pubsub() as subscription:
        subscription.subscribe(f"tx-{protocol}")
        next_of(subscription, "subscribe")
        with client.pipeline(transaction=True) as pipeline:
            for number in range(3):
                pipeline.publish(f"tx-{protocol}", number)
            assert pipeline.execute() == [1, 1, 1]
        with client.pipeline(transaction=False) as pipeline:
            pipeline.publish(f"tx-{protocol}", 3).publish("nobody-is-here", 4)
            assert pipeline.execute() == [1, 0]
        assert [next_of(subscription, "message")["data"] for _ in range(4)] == [b"0", b"1", b"2", b"3"]


@pytest.mark.row("redis", mode="synchronous")
@both_protocols
def test_who_is_subscribed(client, protocol):
    with client.pubsub() as subscription:
        subscription.subscribe(f"one-{protocol}", f"two-{protocol}")
        next_of(subscription, "subscribe")
        next_of(subscription, "subscribe")
        patterns = client.pubsub_numpat()
        subscription.psubscribe(f"pattern-{protocol}*")
        next_of(subscription, "psubscribe")
        assert client.pubsub_numpat() == patterns + 1
        assert sorted(client.pubsub_channels(f"*-{protocol}")) == [f"one-{protocol}".encode(), f"two-{protocol}".encode()]
        counts = client.pubsub_numsub(f"one-{protocol}", "nobody-is-here")
        assert counts == [(f"one-{protocol}".encode(), 1), (b"nobody-is-here", 0)]


@pytest.mark.row("redis", mode="synchronous")
@both_protocols
def test_ping_and_info(client, protocol):
    assert client.ping() is True
    assert {"redis_version", "arch_bits", "cluster_enabled"} <= client.info().keys()


@pytest.mark.row("redis", mode="asyncio")
@both_protocols
def test_asyncio(broker, protocol):
    async def story():
        async with redis.asyncio.Redis(port=broker.port, protocol=protocol) as client, client.pubsub() as subscription:
            await subscription.subscribe(f"async-{protocol}")
            await subscription.psubscribe(f"asyn?-{protocol}")
            kinds = [(await subscription.get_message(timeout=TIMEOUT_SECONDS))["type"] for _ in range(2)]
            assert kinds == ["subscribe", "psubscribe"]
            async with client.pipeline(transaction=True) as pipeline:
                assert await pipeline.publish(f"async-{protocol}", "hello").execute() == [2]
            messages = [await subscription.get_message(timeout=TIMEOUT_SECONDS) for _ in range(2)]
            assert [message["type"] for message in messages] == ["message", "pmessage"]
            assert {message["data"] for message in messages} == {b"hello"}

    asyncio.run(story())
