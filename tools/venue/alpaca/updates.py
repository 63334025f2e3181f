"""trade_updates: what happens to orders, told at once to every listening socket of the account.

JSON in binary frames, as the real server sends them. Places asked: stream.updates.connect, .auth, .send (before a
message) and .sent (after it).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from gpi.tools.venue.accounts.orders import Order, wire
from gpi.tools.venue.clock import wall
from gpi.tools.venue.data.sending import Sender
from gpi.tools.venue.money import maybe, stamp, text
from gpi.tools.venue.patience import named

if TYPE_CHECKING:
    from decimal import Decimal

    from gpi.tools.venue.accounts.account import Fill
    from gpi.tools.venue.world import World

PATH: Final = "/stream"
LARGEST: Final = 1 << 20  # bytes of a client's message


class Updates:
    """Who listens to which account."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._listening: dict[str, set[Sender]] = defaultdict(set)

    def tell(self, order: Order, event: str, ts: int, **more: Any) -> None:
        """One event of an order, `ts` ns."""
        if "execution_id" not in more:
            more["execution_id"] = self.world.accounts.uuid()  # drawn whoever listens: ids do not depend on it
        self.world.counters[f"updates.{event}"] += 1
        senders = self._listening.get(order.key_id)
        if senders:
            data = {"event": event, "timestamp": stamp(ts), "order": wire(order), **more}
            message = json.dumps({"stream": "trade_updates", "data": data}, separators=(",", ":")).encode()
            for sender in tuple(senders):
                sender.put(message)

    def filled(self, fill: Fill, held: Decimal) -> None:
        """One execution."""
        event = "fill" if fill.order.status == "filled" else "partial_fill"
        execution = {"execution_id": fill.id, "price": text(fill.price), "qty": text(fill.qty)}
        self.tell(fill.order, event, fill.ts, **execution, position_qty=maybe(held))

    def listen(self, key_id: str, sender: Sender) -> None:
        """This socket hears of this account from now on."""
        self._listening[key_id].add(sender)

    def leave(self, sender: Sender) -> None:
        """This socket hears no more."""
        for senders in self._listening.values():
            senders.discard(sender)

    def tear(self) -> int:
        """Tear the connection of everybody who listens; how many there were."""
        torn = {sender for senders in self._listening.values() for sender in senders}
        for sender in torn:
            sender.abort()
        return len(torn)

    def state(self) -> dict[str, int]:
        """Sockets that listen, by key id."""
        return {key_id: len(senders) for key_id, senders in self._listening.items() if senders}


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """The socket."""

    async def stream(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=LARGEST, autoping=True)
        await socket.prepare(request)
        world.counters["stream.updates.connected"] += 1
        if world.faults.hit("stream.updates.connect") is not None:
            _abort(request)
            return socket
        sender = Sender(world, socket, request, "updates", binary=True)
        try:
            key_id: str | None = None
            deadline = wall() + world.patience.auth_s
            while not socket.closed:
                try:
                    message = await socket.receive(None if key_id else max(deadline - wall(), 0.001))
                except TimeoutError:
                    await socket.close(code=WSCloseCode.POLICY_VIOLATION)
                    break
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                asked = _read(message.data)
                if asked is None:
                    sender.put(_packed("error", {"error": "invalid request"}), control=True)
                else:
                    key_id = await _asked(world, sender, asked, key_id)
                    named(request, key_id is not None)
        finally:
            world.accounts.updates.leave(sender)
            await sender.close()
        return socket

    return [web.get(PATH, stream)]


async def _asked(world: World, sender: Sender, asked: dict[str, Any], key_id: str | None) -> str | None:
    """Answer one request; the key id this socket has proved."""
    action, data = asked.get("action"), asked.get("data") or {}
    if action in ("authenticate", "auth"):
        given = data if isinstance(data, dict) and data else asked
        proved = world.key_of(
            given.get("key_id") or given.get("key"), given.get("secret_key") or given.get("secret")
        )  # both documented forms
        if world.faults.hit("stream.updates.auth") is not None:
            proved = None
        status = "authorized" if proved else "unauthorized"
        sender.put(_packed("authorization", {"status": status, "action": "authenticate"}), control=True)
        return proved
    if action == "listen":
        asked_for = data.get("streams") if isinstance(data, dict) else None
        streams = asked_for if isinstance(asked_for, list) else []
        known = [each for each in streams if each == "trade_updates"] if key_id else []
        if key_id and known:
            world.accounts.updates.listen(key_id, sender)
        elif key_id:
            world.accounts.updates.leave(sender)
        sender.put(_packed("listening", {"streams": known}), control=True)
        return key_id
    sender.put(_packed("error", {"error": f"unknown action {str(action)[:40]}"}), control=True)
    return key_id


def _read(message: str | bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _packed(stream: str, data: dict[str, Any]) -> bytes:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()  # type: ignore[attr-defined]
