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


CLIENTS: dict[str, Client] = {
    "alpaca-trade-api-js-3": Client(
        "npm @alpacahq/alpaca-trade-api 3.1.3", "alpaca_trade_api_3.cjs", "alpaca-trade-api-3", "`baseUrl`, `dataBaseUrl`, `dataStreamUrl`."
    ),
    "alpaca-trade-api-js-4": Client(
        "npm @alpacahq/alpaca-trade-api 4.0.2", "alpaca_trade_api_4.cjs", "alpaca-trade-api-4", "REST by `fetchApi` (its hosts are fixed), streams by `url`."
    ),
    "typescript-sdk": Client("npm @alpacahq/typescript-sdk 0.0.32-preview", "typescript_sdk.mjs", "@alpacahq/typescript-sdk", "`baseURL`; it sends market data there too."),
    "polygon-client-js": Client("npm @polygon.io/client-js 8.2.0", "polygon_client_js.mjs", "@polygon.io/client-js", "`restClient(key, url)`, `websocketClient(key, ws)`; the key is the secret."),
    "lumibot": Client("PyPI lumibot 4.6.30", "lumibot_bot.py", "lumibot", "`trading_client=` and `stock_client=`, ... with alpaca-py's `url_override`; so it polls."),
    "alpaca-trade-api-py": Client("PyPI alpaca-trade-api 3.2.0", "alpaca_trade_api_py.py", "alpaca_trade_api", "`APCA_API_BASE_URL`, `APCA_API_DATA_URL`, `APCA_API_STREAM_URL`."),
    "alpaca-mcp-server": Client("PyPI alpaca-mcp-server 2.4.0", "mcp_host.py", "alpaca_mcp_server", "`DATA_API_URL`; its trading host is fixed, and replaced in its module."),
}
DIFFERENCES: tuple[tuple[str, str, str, str, str], ...] = ()
