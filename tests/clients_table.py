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
        "`baseUrl`, `dataBaseUrl`, `dataStreamUrl`.",
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
OPENING = "refused as Alpaca refuses it: an order for the opening, while the session is on"
NO_NEWS = "there is no news: the list is empty, the socket takes subscriptions and stays silent"
NO_ACTIONS = "there are no corporate actions: the list is empty, no id is known"
NOWHERE = "404, as at Alpaca: the client asks an address that is not in Alpaca's documentation"
RETIRED = "an address that the vendor has retired"
FUNDS = "money and coins do not leave: no wallets, no transfers"
LOCATES = "there are no locates: what can be sold short can be sold short"
BONDS = "no bonds, no perpetual futures, no tokens"
COMPANY = "reference data that the venue does not have: companies, corporate actions, filings, news"
FUTURES = "no futures"
FX = "currencies are not traded here"

DIFFERENCES: tuple[Difference, ...] = (
    Difference(".*", r"(.*: )?limit opg", D, OPENING, "opg orders are rejected"),
    Difference("alpaca-trade-api-.*", r".*(: news|: News)", N, NO_NEWS, "nothing came"),
    Difference("alpaca-mcp-server", "get_corporate_action_announcement", N, NO_ACTIONS, "announcement not found"),
    Difference("typescript-sdk", "getCorporateAction", N, NO_ACTIONS, "announcement not found"),
    Difference("alpaca-trade-api-js-4", ".*AnnouncementsId", N, NO_ACTIONS, "announcement not found"),
    Difference(
        "alpaca-trade-api-js-3",
        r"(data_stream_v2|option_stream|news_stream): connect",
        D,
        "the client writes wss before its address; tried again with `--tls`",
        "EPROTO",
    ),
    Difference("alpaca-trade-api-py", r"Stream: crypto_.*", D, RETIRED + ": crypto v1beta2", "nothing came"),
    Difference(
        "alpaca-trade-api-py",
        r"AsyncRest.get_bars_async",
        D,
        "the client gives its own TimeFrame to a library that refuses it",
        "Invalid variable type",
    ),
    Difference("alpaca-trade-api-py", r"Stream: trade updates", D, "", "nothing came"),
    Difference(
        "typescript-sdk",
        "updateWatchlist",
        D,
        "the client sends PATCH; Alpaca documents PUT, and has no PATCH",
        "method not allowed",
    ),
    Difference("typescript-sdk", "getStocksMarketMovers|getStocksSnapshots|getLogo", D, NOWHERE, "endpoint not found"),
    Difference("typescript-sdk", "getCryptoTrades", D, NOWHERE, "endpoint not found"),
    Difference(
        "typescript-sdk",
        "getCryptoBars|getCryptoQuotes|getCryptoSnapshots",
        D,
        RETIRED + ": crypto v1beta1",
        "endpoint not found",
    ),
    Difference(
        "alpaca-mcp-server",
        ".*",
        N,
        "its documentation tools ask the vendor's web site, not the venue: not called",
        outcome="uncalled",
    ),
    Difference(
        "lumibot",
        "get_historical_account_value",
        D,
        "the client calls alpaca-py with words that alpaca-py does not take",
        "unexpected keyword",
    ),
    Difference(
        "lumibot",
        "get_historical_prices",
        D,
        "the client asks for bars until its machine's time; the venue's time is the feed's",
        "NoneType",
    ),
    Difference(
        "lumibot",
        r"_parse_broker_order: .*|_flatten_order: bracket|strategy: a bracket, polled",
        D,
        "the client's parser refuses every bracket and oto that comes without child orders in its own form; it refuses Alpaca's recorded bracket with the same words",
        "Order class is|nothing came",
    ),
    Difference("polygon-client-js", "axios", D, "the client's transport, no call", outcome="uncalled"),
)
