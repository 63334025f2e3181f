"""A small market-data server for tests: Alpaca's and Polygon's sockets and histories, misbehaving on order."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack
from aiohttp import WSMsgType, web

KEY_ID, SECRET = "PKTESTCANARY00000001", "test-canary-secret-0123456789"
Talk = Callable[["Visit"], Awaitable[None]]


class Visit:
    """One connection, with the words of either wire."""

    def __init__(self, server: "MarketServer", ws: web.WebSocketResponse, number: int, packed: bool) -> None:
        self.server, self.ws, self.number, self.packed = server, ws, number, packed

    async def say(self, *items: dict[str, Any]) -> None:
        """One message of these items."""
        if self.packed:
            await self.ws.send_bytes(msgpack.packb(list(items)))
        else:
            await self.ws.send_str(json.dumps(list(items)))

    async def hear(self) -> dict[str, Any]:
        """The client's next request."""
        message = await self.ws.receive(timeout=10)
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
            raise ConnectionResetError
        heard: dict[str, Any] = msgpack.unpackb(message.data) if self.packed else json.loads(message.data)
        return heard

    async def open(self) -> None:
        """Connected, authenticated, subscribed."""
        if self.packed:
            await self.say({"T": "success", "msg": "connected"})
            auth = await self.hear()
            if (auth.get("key"), auth.get("secret")) != (KEY_ID, SECRET):
                await self.say({"T": "error", "code": 402, "msg": "auth failed"})
                raise ConnectionResetError
            await self.say({"T": "success", "msg": "authenticated"})
            wanted = await self.hear()
            wanted.pop("action")
            await self.say({"T": "subscription", "trades": [], "quotes": [], **wanted})
        else:
            await self.say({"ev": "status", "status": "connected", "message": "Connected Successfully"})
            auth = await self.hear()
            if auth.get("params") != SECRET:
                await self.say({"ev": "status", "status": "auth_failed", "message": "authentication failed"})
                raise ConnectionResetError
            await self.say({"ev": "status", "status": "auth_success", "message": "authenticated"})
            wanted = await self.hear()
            for topic in wanted["params"].split(","):
                await self.say({"ev": "status", "status": "success", "message": f"subscribed to: {topic}"})

    def tear(self) -> None:
        """End the connection without a word."""
        assert self.ws._req is not None and self.ws._req.transport is not None
        self.ws._req.transport.abort()


class MarketServer:
    """Runs in a thread of its own; `talks`: what each connection in turn is told, the last one again and again."""

    def __init__(self, *talks: Talk) -> None:
        self.talks = talks
        self.history: dict[str, list[dict[str, Any]]] = {"trades": [], "quotes": []}  # with S, as REST tells them
        self.asked: Counter[str] = Counter()
        self.visits = 0
        self.rest_status = 200
        self.rest_delay_s = 0.0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> "MarketServer":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *failure: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_get("/v2/stocks/{channel}", self._alpaca_rest)
        app.router.add_get("/v3/{channel}/{ticker}", self._polygon_rest)
        for path in ("/v2/iex", "/v2/sip", "/v1beta1/indicative", "/v1beta3/crypto/us", "/stocks", "/options"):
            app.router.add_get(path, self._visited)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._over.wait()
        await runner.cleanup()

    async def _visited(self, request: web.Request) -> web.StreamResponse:
        number, self.visits = self.visits, self.visits + 1
        talk = self.talks[min(number, len(self.talks) - 1)]
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        visit = Visit(self, ws, number, packed=request.path not in ("/stocks", "/options"))
        try:
            await talk(visit)
        except (TimeoutError, ConnectionResetError):
            pass
        return ws

    async def _alpaca_rest(self, request: web.Request) -> web.Response:
        channel = request.match_info["channel"]
        self.asked[channel] += 1
        if self.rest_status != 200:
            return web.json_response(
                {"code": 40310000, "message": "subscription does not permit"}, status=self.rest_status
            )
        symbols = request.query["symbols"].split(",")
        kept = [x for x in self.history[channel] if x["S"] in symbols and x["t"] >= request.query["start"]]
        page = int(request.query.get("page_token", "0"))
        chosen = kept[page : page + 3]
        found: dict[str, list[Any]] = {}
        for item in chosen:
            found.setdefault(item["S"], []).append({k: v for k, v in item.items() if k != "S"})
        following = str(page + 3) if page + 3 < len(kept) else None
        return web.json_response({channel: found, "next_page_token": following})

    async def _polygon_rest(self, request: web.Request) -> web.Response:
        channel, ticker = request.match_info["channel"], request.match_info["ticker"]
        self.asked[channel] += 1
        await asyncio.sleep(self.rest_delay_s)
        since = int(request.query["timestamp.gte"])
        kept = [x for x in self.history[channel] if x["S"] == ticker and x["sip_timestamp"] >= since]
        return web.json_response({"status": "OK", "results": [{k: v for k, v in x.items() if k != "S"} for x in kept]})
