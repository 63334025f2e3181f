"""Watchlists: named lists of symbols, by id and by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiohttp import web

from gpi.tools.venue.accounts.account import Account, Watchlist
from gpi.tools.venue.alpaca.assets import wire_symbol
from gpi.tools.venue.door import key_id_of
from gpi.tools.venue.money import stamp
from gpi.tools.venue.reading import body_of
from gpi.tools.venue.refusals import answer, malformed, missing
from gpi.tools.venue.world import World

LONGEST: Final = 64  # characters of a name
MOST: Final = 200  # lists of an account


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """Create, read, update, delete; the same by name."""
    lists = _Lists(world)
    found = [web.get("/v2/watchlists", lists.all), web.post("/v2/watchlists", lists.create)]
    for path in ("/v2/watchlists:by_name", "/v2/watchlists/{id}"):
        found += [web.get(path, lists.get), web.put(path, lists.update), web.post(path, lists.add)]
        found += [web.delete(path, lists.delete)]
    return [*found, web.delete("/v2/watchlists/{id}/{symbol:.+}", lists.remove)]


class _Lists:
    def __init__(self, world: World) -> None:
        self.world = world

    def _account(self, request: web.Request) -> Account:
        return self.world.accounts[key_id_of(self.world, request)]

    def _found(self, request: web.Request) -> Watchlist:
        lists, wanted = self._account(request).watchlists, request.match_info.get("id")
        name = request.query.get("name")
        for each in lists.values():
            if each.id == wanted or (wanted is None and each.name == name):
                return each
        raise missing(f"watchlist not found for {(wanted or name or '')[:80]}")

    def _shown(self, each: Watchlist, whole: bool = True) -> dict[str, Any]:
        assets = self.world.accounts.assets
        listed = [assets.named(symbol) for symbol in each.symbols] if whole else []
        times = {"created_at": stamp(each.created_at), "updated_at": stamp(each.updated_at)}
        told = {"id": each.id, "account_id": each.account_id, **times, "name": each.name}
        return {**told, "assets": [assets.wire(asset) for asset in listed]} if whole else told

    def _symbols(self, body: Mapping[str, Any]) -> list[str]:
        given = body.get("symbols") or []
        if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
            raise malformed("symbols must be a list of symbols")
        return list(dict.fromkeys(self._symbol(each) for each in given))

    def _symbol(self, given: Any) -> str:
        if not isinstance(given, str) or not given:
            raise malformed("symbol is required")
        return wire_symbol(self.world.accounts.assets.named(given))

    def _name(self, account: Account, given: Any, own: Watchlist | None = None) -> str:
        if not isinstance(given, str) or not 1 <= len(given) <= LONGEST:
            raise malformed(f"name must have 1 to {LONGEST} characters")
        if any(each.name == given and each is not own for each in account.watchlists.values()):
            raise malformed("watchlist name must be unique")
        return given

    async def all(self, request: web.Request) -> web.Response:
        """Every list, without its assets."""
        return answer([self._shown(each, whole=False) for each in self._account(request).watchlists.values()])

    async def create(self, request: web.Request) -> web.Response:
        """A new one."""
        body, account = await _object(request), self._account(request)
        if len(account.watchlists) >= MOST:
            raise malformed(f"an account has at most {MOST} watchlists")
        now = self.world.clock.now()
        made = Watchlist(
            self.world.accounts.uuid(), account.id, self._name(account, body.get("name")), self._symbols(body), now, now
        )
        account.watchlists[made.id] = made
        return answer(self._shown(made))

    async def get(self, request: web.Request) -> web.Response:
        """One, with its assets."""
        return answer(self._shown(self._found(request)))

    async def update(self, request: web.Request) -> web.Response:
        """Another name, other symbols; what is not given stays."""
        body, found = await _object(request), self._found(request)
        name = found.name
        if body.get("name") is not None:
            name = self._name(self._account(request), body["name"], found)
        symbols = self._symbols(body) if body.get("symbols") is not None else found.symbols
        found.name, found.symbols, found.updated_at = name, symbols, self.world.clock.now()
        return answer(self._shown(found))

    async def add(self, request: web.Request) -> web.Response:
        """One symbol more."""
        body, found = await _object(request), self._found(request)
        symbol = self._symbol(body.get("symbol"))
        if symbol in found.symbols:
            raise malformed(f"duplicate symbol {symbol} in watchlist")
        found.symbols, found.updated_at = [*found.symbols, symbol], self.world.clock.now()
        return answer(self._shown(found))

    async def remove(self, request: web.Request) -> web.Response:
        """One symbol less."""
        found, name = self._found(request), request.match_info["symbol"]
        listed = self.world.accounts.assets.find(name)
        symbol = name if listed is None else wire_symbol(listed)
        if symbol not in found.symbols:
            raise missing(f"symbol {name[:40]} not found in watchlist")
        found.symbols = [each for each in found.symbols if each != symbol]
        found.updated_at = self.world.clock.now()
        return answer(self._shown(found))

    async def delete(self, request: web.Request) -> web.Response:
        """None any more."""
        del self._account(request).watchlists[self._found(request).id]
        return web.Response(status=204)


async def _object(request: web.Request) -> Mapping[str, Any]:
    body = await body_of(request)
    if not isinstance(body, Mapping):
        raise malformed("request body format is invalid")
    return body
