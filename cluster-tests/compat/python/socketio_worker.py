"""A python-socketio server process: `socketio_worker.py async|threaded BROKER_URL CHANNEL`, orders on standard input."""

import asyncio
import json
import sys
import threading

import socketio

HOST = "127.0.0.1"


def say(answer):
    print(json.dumps(answer), flush=True)


async def run_async(url, channel):
    from aiohttp import web

    manager = socketio.AsyncRedisManager(url, channel=channel)
    server = socketio.AsyncServer(async_mode="aiohttp", client_manager=manager)

    @server.event
    async def join(sid, room):
        await server.enter_room(sid, room)

    application = web.Application()
    server.attach(application)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    say({"port": site._server.sockets[0].getsockname()[1]})
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        await getattr(server, order.pop("order"))(**order)
        say("done")


def run_threaded(url, channel):
    from werkzeug.serving import make_server

    manager = socketio.RedisManager(url, channel=channel)
    server = socketio.Server(async_mode="threading", client_manager=manager)

    @server.event
    def join(sid, room):
        server.enter_room(sid, room)

    http = make_server(HOST, 0, socketio.WSGIApp(server), threaded=True)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    say({"port": http.server_port})
    while line := sys.stdin.readline():
        order = json.loads(line)
        getattr(server, order.pop("order"))(**order)
        say("done")


flavour, broker_url, broker_channel = sys.argv[1:]
if flavour == "async":
    asyncio.run(run_async(broker_url, broker_channel))
else:
    run_threaded(broker_url, broker_channel)
