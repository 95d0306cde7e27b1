"""A process with a channels_redis pub/sub layer: `channel_layer_worker.py BROKER_URL`, orders on standard input."""

import asyncio
import json
import sys

from channels_redis.pubsub import RedisPubSubChannelLayer

RECEIVE_TIMEOUT_SECONDS = 4


async def main(url):
    layer = RedisPubSubChannelLayer(hosts=[url])
    channel = await layer.new_channel()
    print(json.dumps({"channel": channel}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        match order.pop("order"):
            case "group_add":
                answer = await layer.group_add(order["group"], channel)
            case "group_discard":
                answer = await layer.group_discard(order["group"], channel)
            case "group_send":
                answer = await layer.group_send(order["group"], order["message"])
            case "send":
                answer = await layer.send(order["channel"], order["message"])
            case "receive":
                answer = await asyncio.wait_for(layer.receive(channel), RECEIVE_TIMEOUT_SECONDS)
        print(json.dumps(answer), flush=True)


asyncio.run(main(sys.argv[1]))
