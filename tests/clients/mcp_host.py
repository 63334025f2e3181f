"""alpaca-mcp-server: run over stdio as its hosts run it; every tool that it lists is called."""

import asyncio
import json
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from say import VENUE, leave, say

# Its trading host is a constant of its module; the data host is a setting.
SERVER = (
    "import sys; from alpaca_mcp_server import server;"
    " server.TRADING_API_BASE_URLS = dict.fromkeys(('paper', 'live'), sys.argv.pop());"
    " from alpaca_mcp_server.cli import main; main()"
)
STRANGE = "7b1c9a7e-3f5e-4b8e-8d64-6a1d1ef9b6a1"
SHARE = {"symbol": "AAPL", "side": "buy", "qty": "2", "type": "market", "time_in_force": "day"}
OWN = {
    "place_stock_order": SHARE,
    "place_crypto_order": {"symbol": "BTC/USD", "side": "buy", "qty": "0.1", "type": "market", "time_in_force": "gtc"},
    "place_option_order": {
        "qty": "1",
        "type": "limit",
        "limit_price": "3.9",
        "time_in_force": "day",
        "symbol": VENUE["option"],
        "side": "buy",
        "position_intent": "buy_to_open",
    },
}
# What a parameter is given, by its name; a tool of options, coins or indices has its own.
WORDS = {
    "symbols": "AAPL,MSFT",
    "symbol": "AAPL",
    "symbol_or_asset_id": "AAPL",
    "symbol_or_id": VENUE["option"],
    "symbol_or_contract_id": VENUE["option"],
    "underlying_symbol": "AAPL",
    "underlying_symbols": "AAPL",
    "timeframe": "1Min",
    "start": VENUE["start"],
    "end": VENUE["end"],
    "limit": 5,
    "loc": "us",
    "activity_type": "FILL",
    "ca_types": "dividend",
    "since": VENUE["day"],
    "until": VENUE["day"],
    "id": STRANGE,
    "order_id": STRANGE,
    "client_order_id": "mcp resting",
    "watchlist_id": STRANGE,
    "name": "mcp",
    "ticktype": "trade",
    "tape": "A",
    "market_type": "stocks",
    "by": "volume",
    "top": 3,
    "period": "1D",
    "status": "all",
    "market": "NYSE",
    "currency_pairs": "EURUSD",
    "query": "orders",
    "isins": "US0378331005",
    "types": "cash_dividend",
    "asset": "BTC",
    "from_address": "a",
    "to_address": "b",
    "amount": "1",
    "days": 1,
    "locate_id": STRANGE,
    "transfer_id": STRANGE,
}
MORE = {
    "add_asset_to_watchlist_by_id": {"symbol": "MSFT"},
    "update_watchlist_by_id": {"name": "mcp more", "symbols": ["AAPL", "SPY"]},
    "update_account_config": {"no_shorting": False},
}
ELSEWHERE = {
    "fetch_alpaca_doc",
    "get_alpaca_endpoint_docs",
    "list_alpaca_api_endpoints",
    "search_alpaca_api_specs",
    "search_alpaca_docs",
}  # the vendor's web site
LAST = (
    "replace_order_by_id",
    "get_order_by_id",
    "get_order_by_client_id",
    "cancel_order_by_id",
    "cancel_all_orders",
    "close_position",
    "do_not_exercise_options_position",
    "exercise_options_position",
    "close_all_positions",
)  # in this order, after everything else


def given(tool, known):
    """Words for a tool: what it requires, and what the calls so far have told."""
    own = OWN.get(tool.name)
    if own is not None:
        return {name: each for name, each in own.items() if name in tool.inputSchema.get("properties", {})}
    words = dict(WORDS, **known)
    if "crypto" in tool.name:
        words["symbols"] = words["symbol"] = "BTC/USD"
    if "option" in tool.name:
        words["symbols"] = words["symbol"] = VENUE["option"]
    if "index" in tool.name or "indices" in tool.name:
        words["symbols"] = "SPX"
    asked = tool.inputSchema.get("required", [])
    more = [
        name
        for name in ("start", "end", "timeframe", "limit")
        if name in tool.inputSchema.get("properties", {})
        and tool.name.startswith(("get_stock", "get_crypto", "get_option"))
    ]
    return {name: words[name] for name in [*asked, *more] if name in words}


async def called(session, name, words, label=None):
    """One tool."""
    label = label or name
    try:
        answer = await asyncio.wait_for(session.call_tool(name, words), 30)
    except Exception as wrong:
        say(label, "failed", f"{type(wrong).__name__}: {wrong}"[:300])
        return None
    text = " ".join(each.text for each in answer.content if each.type == "text")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(value, dict) and "_alpaca_mcp_security" in value:  # what it wraps every answer in
        rest = {key: each for key, each in value.items() if not key.startswith("_")}
        value = next(iter(rest.values())) if len(rest) == 1 else rest
    bad = answer.isError or (isinstance(value, dict) and "error" in value)
    say(label, "failed" if bad else "worked", (value if isinstance(value, dict) else text[:300]) if bad else value)
    return None if bad else value


async def main():
    """List and call."""
    env = {
        "ALPACA_API_KEY": VENUE["key"],
        "ALPACA_SECRET_KEY": VENUE["secret"],
        "DATA_API_URL": VENUE["url"],
        "ALPACA_PAPER_TRADE": "true",
    }
    server = StdioServerParameters(command=sys.executable, args=["-c", SERVER, VENUE["url"]], env=env)
    async with stdio_client(server, errlog=sys.stderr) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = {each.name: each for each in (await session.list_tools()).tools}
        say("list_tools", "worked", sorted(tools))
        known = {}
        await called(session, "place_stock_order", SHARE)
        resting = await called(
            session,
            "place_stock_order",
            dict(SHARE, type="limit", limit_price="150.25", client_order_id="mcp resting"),
            "place_stock_order: limit",
        )
        await called(
            session,
            "place_stock_order",
            dict(
                SHARE,
                order_class="bracket",
                time_in_force="gtc",
                take_profit_limit_price="250",
                stop_loss_stop_price="140",
            ),
            "place_stock_order: bracket",
        )
        listed = await called(session, "create_watchlist", {"name": "mcp", "symbols": ["AAPL"]})
        if isinstance(resting, dict):
            known["order_id"] = resting.get("id", STRANGE)
        if isinstance(listed, dict):
            known["watchlist_id"] = listed.get("id", STRANGE)
        done = {"place_stock_order", "create_watchlist"}
        rest = sorted(
            set(tools) - done - set(LAST),
            key=lambda name: (name.startswith("remove") + 2 * name.startswith("delete"), name),
        )
        for name in [*rest, *(each for each in LAST if each in tools)]:
            if name in ELSEWHERE:
                say(name, "uncalled")
                continue
            if name == LAST[0]:
                await asyncio.sleep(1)  # the market moves on
            words = given(tools[name], known) | MORE.get(name, {})
            if name == "replace_order_by_id":
                words |= {"limit_price": "149.5", "qty": "3"}
            answer = await called(session, name, words)
            if name == "replace_order_by_id" and isinstance(answer, dict):
                known["order_id"] = answer.get("id", known.get("order_id"))


asyncio.run(main())
leave()
