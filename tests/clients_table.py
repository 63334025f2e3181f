"""The clients that the venue is tried with, and every call of theirs that does not work there, with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """A client: its driver in tests/clients, its folder under build/clients, and how a user points it at the venue."""

    title: str
    driver: str
    package: str
    how: str


@dataclass(frozen=True)
class Difference:
    """Why calls of a client do not work at the venue; `client`, `calls` and `words` are patterns."""

    client: str
    calls: str
    kind: str  # difference, or not offered
    why: str
    words: str = ""  # in what the client said
    outcome: str = "failed"


CLIENTS: dict[str, Client] = {
    "alpaca-trade-api-js-3": Client(
        "npm @alpacahq/alpaca-trade-api 3.1.3",
        "alpaca_trade_api_3.cjs",
        "alpaca-trade-api-3",
        "`baseUrl`, `dataBaseUrl`, `dataStreamUrl`: `--tls`, since its data streams speak nothing else.",
    ),
    "alpaca-trade-api-js-4": Client(
        "npm @alpacahq/alpaca-trade-api 4.0.2",
        "alpaca_trade_api_4.cjs",
        "alpaca-trade-api-4",
        "REST by `fetchApi` (its hosts are fixed), streams by `url`.",
    ),
    "typescript-sdk": Client(
        "npm @alpacahq/typescript-sdk 0.0.32-preview",
        "typescript_sdk.mjs",
        "@alpacahq/typescript-sdk",
        "`baseURL`; it sends market data there too.",
    ),
    "polygon-client-js": Client(
        "npm @polygon.io/client-js 8.2.0",
        "polygon_client_js.mjs",
        "@polygon.io/client-js",
        "`restClient(key, url)`, `websocketClient(key, ws)`; the key is the secret.",
    ),
    "lumibot": Client(
        "PyPI lumibot 4.6.30",
        "lumibot_bot.py",
        "lumibot",
        "`trading_client=` and `stock_client=`, ... with alpaca-py's `url_override`; so it polls.",
    ),
    "alpaca-trade-api-py": Client(
        "PyPI alpaca-trade-api 3.2.0",
        "alpaca_trade_api_py.py",
        "alpaca_trade_api",
        "`APCA_API_BASE_URL`, `APCA_API_DATA_URL`, `APCA_API_STREAM_URL`.",
    ),
    "alpaca-mcp-server": Client(
        "PyPI alpaca-mcp-server 2.4.0",
        "mcp_host.py",
        "alpaca_mcp_server",
        "`DATA_API_URL`; its trading host is fixed, and replaced in its module.",
    ),
}
D, N = "difference", "not offered"
UNKNOWN = "endpoint not found"
OPENING = "refused as Alpaca refuses it: an order for the opening, while the session is on"
NO_NEWS = "there is no news: the list is empty, the socket takes subscriptions and stays silent"
NO_ACTIONS = "there are no corporate actions: the list is empty, no id is known"
NOWHERE = "404, as at Alpaca: the client asks an address that is not in Alpaca's documentation"
RETIRED = "an address that the vendor has retired"
FUNDS = "money and coins do not leave: no wallets, no transfers"
LOCATES = "there are no locates: what can be sold short can be sold short"
OTHERS = "no bonds, no perpetual futures, no tokens"
COMPANY = "reference data that the venue does not have: companies, corporate actions, filings, news, the economy"
FUTURES = "no futures"
FX = "currencies are not traded here"
CLIENT = "the client's own mistake, at any venue: "
BRACKET = CLIENT + (
    "its parser wants the child orders of a bracket or oto in its own form; it refuses the bracket that Alpaca "
    "recorded with the same words, and then its polling hears of nothing"
)
JS3, JS4, TS, PY = "alpaca-trade-api-js-3", "alpaca-trade-api-js-4", "typescript-sdk", "alpaca-trade-api-py"
MCP, LUMIBOT, POLYGON = "alpaca-mcp-server", "lumibot", "polygon-client-js"

DIFFERENCES: tuple[Difference, ...] = (
    Difference(".*", r"(.*: )?limit opg", D, OPENING, "opg orders are rejected"),
    Difference(f"{JS3}|{JS4}|{PY}", r".*(: news|: News)", N, NO_NEWS, "nothing came"),
    Difference(f"{MCP}|{TS}|{JS4}", r"get_corporate_action_announcement|getCorporateAction|.*AnnouncementsId", N,
               NO_ACTIONS, "announcement not found"),
    Difference(f"{TS}|{JS4}", r".*[cC]rypto(Funding|Wallet|Transfer|Whitelisted).*|getFeeEstimate", N, FUNDS),
    Difference(f"{MCP}|{JS4}", r".*[lL]ocate.*", N, LOCATES),
    Difference(f"{MCP}|{JS4}", r".*(cryptoPerpetualFutures|fixedIncome|tokenization|fixed_income).*", N, OTHERS),
    Difference(f"{TS}|{JS4}", r"getLogo|.*\.logos", N, COMPANY),
    Difference(JS4, r"marketData\..*(IndexValues|indexValues|indexLatestValues).*", N,
               "indices are told on Polygon's wire, not on Alpaca's", UNKNOWN),
    Difference(JS4, r"trading\.events\..*", N, "no server-sent events: the socket of trade updates tells all", UNKNOWN),
    Difference(TS, "updateWatchlist", D, "the client sends PATCH; Alpaca documents PUT", "method not allowed"),
    Difference(TS, "getStocksMarketMovers|getStocksSnapshots|getCryptoTrades", D, NOWHERE, UNKNOWN),
    Difference(TS, "getCryptoBars|getCryptoQuotes|getCryptoSnapshots", D, RETIRED + ": crypto v1beta1", UNKNOWN),
    Difference(PY, r"Stream: crypto_.*", D, RETIRED + ": crypto v1beta2", "nothing came"),
    Difference(PY, r"AsyncRest.get_bars_async", D, CLIENT + "it hands its own TimeFrame to aiohttp, which refuses it",
               "Invalid variable type"),
    Difference(MCP, ".*", N, "a tool that reads the vendor's web site, not the venue: not called", outcome="uncalled"),
    Difference(LUMIBOT, "get_historical_account_value", D, CLIENT + "it calls alpaca-py with unknown words",
               "unexpected keyword"),
    Difference(LUMIBOT, "get_historical_prices", D,
               "the client asks for bars until its machine's time; the venue's time is the feed's", "NoneType"),
    Difference(LUMIBOT, r"_parse_broker_order: .*|_flatten_order: bracket", D, BRACKET, "Order class is"),
    Difference(LUMIBOT, r"strategy: a bracket, polled", D, BRACKET, "nothing came"),
    Difference(POLYGON, "axios", D, "the client's transport, no call", outcome="uncalled"),
    Difference(POLYGON, "getFutures.*|websocket futures", N, FUTURES),
    Difference(POLYGON, "getForex.*|getLastCurrencyQuote|getCurrencyConversion|websocket forex", N, FX),
    Difference(POLYGON, "deprecatedGetHistoric.*", D, RETIRED, UNKNOWN),
    Difference(POLYGON, "getCryptoOpenClose", N, "open-close is served for shares only", UNKNOWN),
    Difference(POLYGON, "(getBenzinga|getFed|getStocksV1|getTmx).*|getEvents|getRelatedCompanies|getSnapshotSummary", N,
               COMPANY, UNKNOWN),
    Difference(POLYGON, "listDividends|listFinancials|listIPOs|listNews|listStockSplits", N, COMPANY, UNKNOWN),
)  # fmt: skip
