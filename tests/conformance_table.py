"""The known differences between the venue and what the vendors recorded and documented, each with its reason."""

from __future__ import annotations

CSV = "the form of a CSV download, which the venue does not offer"
REFERENCE = "reference data the venue does not have (companies, corporate actions, filings, news, codes)"
INDICATORS = "technical indicators: the system computes its own"
FX = "currencies are not traded here"
RETIRED = "an endpoint or form the vendor has retired"
CLIENT = "what a client says, not what a server answers; the tests of the sockets and of trading say it"
BROKER = "Broker API: another product, for brokers with many accounts"

LEFT_OUT: dict[str, tuple[tuple[str, str], ...]] = {
    "alpaca": (
        (r"broker-api|oas/broker", BROKER),
        (r'\| client:|"action": "(auth|subscribe|listen)', CLIENT),
        (r"Order Requests|(Bracket|OCO|OTO|Trailing Stop) Orders", CLIENT),
        (
            r"[Nn]ews|announcements|corporate.actions|watchlist|Watchlist|screener|movers|MarketMover|NewsImage",
            REFERENCE,
        ),
        (r"meta/|CFEE|\"DIV\"|NonTrade|activity_type\": \"(?!FILL)", REFERENCE),
        (r"oauth|access_token", "OAuth is the vendor's web site; keys are what the clients use"),
        (
            r"FTXU|CBSE|ERSX|v1beta1//?crypto|v1beta1/crypto|xbbo|spreads|crypto-(latest|multi|snapshot|bars|quotes|trades)",
            RETIRED + ": crypto by exchange (v1beta1, v1beta2)",
        ),
        (r"last-(quote|trade)|stream-(bar|quote|trade)|webapi/entities/(account|order|asset)\.yaml", RETIRED + ": v1"),
        (r"\| null$|\| \{\}$|\| \"\"$|rest:text", "no body"),
        (r"kind rest nothing$", "an empty answer: no keys to compare"),
    ),
    "polygon": (
        (r'\| "|"tickers": "', CSV),
        (r"orex|\bfx\b|fxTicker|currencies|conversion|/C:|C:USD|USD/|kind ws (C|CA|CAS)\b|kind .* fx$", FX),
        (r"indicators", INDICATORS),
        (
            r"summaries|related|reference|filings|meta/|vX|v2/ticks|historic|financials|taxonom|fed/|stocks/v1|"
            r"benzinga|partners|tmx|etf|futures|consumer|v1/dividends|v1/splits",
            REFERENCE,
        ),
        (r"kind ws (FMV|LV)", "values the vendor computes (fair market value, launchpad)"),
        (r"kind ws NOI", "auction imbalances: the feed has no auctions"),
        (r"kind ws AM (crypto|fx)|launchpad", "launchpad: another product"),
        (r"open-close/(crypto|\{indices|\{options)", "open-close is served for shares only"),
    ),
}

PDT = "pattern day trading ended on 2026-06-04; Alpaca removed the field on 2026-07-06"
NEWER = "a field added since the example was written"
NUMBER = "one old example shows a number where the API, and all others, have a string"
STRING = "one old example shows a string where the API, and all others, have a number"
FMV = "fair market value: the vendor's own estimate, of the business plan"
BROKER_FIELD = "a field of the Broker API"

RECORDED: dict[str, str] = {
    "GET /v1beta1/crypto/SOLUSD/bars 200: status 200, here 404": RETIRED + ": crypto v1beta1",
    "GET /v1/bars/1D 200: status 200, here 404": RETIRED + ": data v1",
    "GET /v1/last/stocks/TSLA 200: status 200, here 404": RETIRED + ": data v1",
    "GET /v2/account 200: missing daytrade_count": PDT,
    "GET /v2/account 200: missing pattern_day_trader": PDT,
    "GET /v2/account 200: missing daytrading_buying_power": PDT,
    "GET /v2/account/activities/DIV 200: missing []": "shares pay no dividends here: the list is there, and empty",
    "DELETE /v2/orders 207: missing [].body": "today an entry is id and status; the order's body stood there in 2019",
}

FAILED = "the example has an entry that failed; ours succeed"
EARLY = "changes before and after the session are not worked out"
INDEX = "an index among them has what /v3/snapshot/indices documents"
BARE = "dailyBar.n,dailyBar.vw,latestQuote.z,minuteBar.n,minuteBar.vw,prevDailyBar.n,prevDailyBar.vw"
CHANNELS = "cancelErrors,corrections,dailyBars,imbalances,lulds,orderbooks,statuses,updatedBars"

DIFFERENCES: dict[str, str] = {  # {a,b} stands for two differences
    f"alpaca snapshot equity: extra {{{BARE}}}": NEWER,
    "alpaca ws d equity: extra {n,vw}": NEWER + "; the client fails without them",
    f"alpaca ws subscription: extra {{{CHANNELS}}}": "every channel of the address is told, also those added since",
    "alpaca ws o crypto: extra r": "stands on a whole book only, as documented in words",
    "alpaca ws x equity: not made here": "prints of the feed are never canceled",
    "alpaca ws n: not made here": "there is no news; the socket takes subscriptions to it",
    "alpaca stream trade_updates: missing data.order.cancel_requested_at": "gone from today's order",
    "alpaca stream trade_updates: extra data.order.{expires_at,position_intent,ratio_qty,source,subtag}": NEWER,
    "alpaca asset equity: missing attributes[]": "options listed on a share are its attribute, and this one has none",
    "alpaca asset equity: missing {last_close_pct_change,last_price}": BROKER_FIELD,
    "alpaca asset equity: extra maintenance_margin_requirement": NEWER,
    "alpaca account: missing {daytrade_count,daytrading_buying_power}": PDT,
    "alpaca account: missing pattern_day_trader": PDT,
    "alpaca account: missing pending_transfer_out": "money does not leave",
    "alpaca account: type {options_approved_level,options_trading_level}: string, here number": NUMBER.replace(
        "a number", "a string"
    ).replace("have a string", "have a number"),
    "alpaca account: extra position_market_value": NEWER,
    "alpaca order: missing commission": BROKER_FIELD,
    "alpaca order: type {limit_price,qty,filled_avg_price}: number, here string": NUMBER,
    "alpaca order: extra {expires_at,ratio_qty,source,subtag}": NEWER,
    "alpaca closed: extra body.{expires_at,ratio_qty}": NEWER,
    "alpaca closed: missing body.{available,code,existing_qty,held_for_orders,message}": FAILED,
    "alpaca canceled: missing body": FAILED,
    "alpaca configurations: missing {dtbp_check,pdt_check}": PDT,
    "alpaca configurations: extra disable_overnight_trading": NEWER,
    "alpaca rest latest bars crypto: missing next_page_token": "one old example has it; latest values have no pages",
    "alpaca rest latest trades option: missing trade": "a mock with another envelope than the API and the others",
    "alpaca contracts: extra {option_contracts[].multiplier,option_contracts[].ppind,page_token}": NEWER,
    "alpaca contract: extra {multiplier,ppind}": NEWER,
    "alpaca position: missing usd": "positions in another currency than dollars",
    "polygon ws Q equity: missing i[]": "no indicators are known: the list is there, and empty",
    "polygon snapshot equity: missing ticker.fmv": FMV,
    "polygon snapshots equity: missing tickers[].fmv": FMV,
    "polygon universal: missing results[].fmv": FMV,
    "polygon chain: missing results[].fmv": FMV,
    "polygon contract snapshot: missing results.fmv": FMV,
    "polygon universal: missing results[].session.{early,late}_trading_{change,change_percent}": EARLY,
    "polygon universal: extra results[].{last_updated,timeframe,value}": INDEX,
    "polygon trades option: extra results[].sequence_number": "so that a gap in the stream's q can be refilled",
    "polygon trades equity: missing results[].correction": "prints of the feed are never corrected",
}
