"""channels_redis' pub/sub layer: two processes, groups and single channels."""

import pytest
from worker import Worker

pytestmark = pytest.mark.row("channels_redis", mode="pub/sub layer")


@pytest.fixture
def two(broker):
    workers = [Worker("channel_layer_worker.py", broker.url) for _ in range(2)]
    yield workers
    for worker in workers:
        worker.stop()


def test_send_to_a_channel_of_the_other_process(two):
    here, there = two
    here.ask(order="send", channel=there.greeting["channel"], message={"type": "direct", "text": "☃"})
    assert there.ask(order="receive") == {"type": "direct", "text": "☃"}


def test_groups_reach_their_members_only(two):
    here, there = two
    here.ask(order="group_add", group="both")
    there.ask(order="group_add", group="both")
    there.ask(order="group_add", group="left")
    here.ask(order="group_send", group="both", message={"type": "first"})
    assert here.ask(order="receive") == {"type": "first"}
    assert there.ask(order="receive") == {"type": "first"}

    there.ask(order="group_discard", group="left")
    here.ask(order="group_send", group="left", message={"type": "to nobody"})
    here.ask(order="group_send", group="both", message={"type": "fence"})
    assert there.ask(order="receive") == {"type": "fence"}, "a discarded group is no longer received"
