"""The known differences between the venue and what the vendors recorded and documented, each with its reason."""

from __future__ import annotations

CSV = "the form of a CSV download, which the venue does not offer"
REFERENCE = "reference data the venue does not have (companies, filings, single actions and news, retired codes)"
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
            r"announcements|NewsImage|MarketMoverAsset|news object|News Object|schemas/News|multiple symbols  alpaca",
            REFERENCE,
        ),
        (r"meta/spreads|CFEE|\"DIV\"|NonTrade|activity_type\": \"(?!FILL)", REFERENCE),
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
        (
            r"summaries|related|v1/reference|v2/reference/(?!news)|v1/meta/|filings|vX|v2/ticks|historic|financials|"
            r"taxonom|fed/|stocks/v1|"
            r"benzinga|partners|tmx|etf|futures|consumer|v1/dividends|v1/splits",
            REFERENCE,
        ),
        (r"kind ws (FMV|LV)", "values the vendor computes (fair market value, launchpad)"),
        (r"kind ws NOI", "auction imbalances: the feed has no auctions"),
        (r"kind ws AM (crypto|fx)|launchpad", "launchpad: another product"),
        (r"open-close/(crypto|\{indices|\{options)", "open-close is served for shares only"),
    ),
}

NOBODY = "companies: the feed says nothing of them, and nothing is made up"
EMPTY = "there are none here: the list is there, and empty"
ACTIONS = (
    "cash_dividends,cash_mergers,forward_splits,name_changes,redemptions,reverse_splits,rights_distributions,spin_offs,"
    "stock_and_cash_mergers,stock_dividends,stock_mergers,unit_splits,worthless_removals"
)
COMPANY = (
    "address,branding,cik,composite_figi,description,homepage_url,list_date,market_cap,phone_number,share_class_figi,"
    "share_class_shares_outstanding,sic_code,sic_description,total_employees,type,weighted_shares_outstanding"
)

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
    "alpaca day: extra settlement_date": NEWER,
    "alpaca position: missing usd": "positions in another currency than dollars",
    "alpaca conditions of trades: extra G": "a code the tape has deleted, found in its history",
    f"alpaca corporate actions: missing corporate_actions.{{{ACTIONS}}}": EMPTY,
    "alpaca movers: missing losers[]": "of the shares that are played, all rose",
    "alpaca rest news: missing news[]": EMPTY,
    "alpaca watchlist: extra assets[].{attributes,maintenance_margin_requirement}": NEWER,
    "polygon conditions: missing results[].update_rules.market_center": "at the exchange itself, apart from the tape",
    "polygon conditions: extra results[].sip_mapping.FINRA_TDDS": "a tape among those of codes that no example shows",
    "polygon {dividends,news,splits}: missing results[]": EMPTY,
    "polygon {news,splits}: missing next_url": EMPTY,
    "polygon {option contract: missing results,option contracts: missing results[]}.additional_underlyings": (
        "contracts for anything beside their shares"
    ),
    f"polygon ticker: missing results.{{{COMPANY}}}": NOBODY,
    "polygon tickers: missing results[].{cik,composite_figi,share_class_figi,type}": NOBODY,
    "polygon tickers: missing results[].last_updated_utc": "of the vendor's own tables",
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

PAGES: dict[str, tuple[int, str]] = {  # what clients ask for and the venue does not offer: its status, and why
    "/v2/locates": (404, "shares to borrow are the switch `asset`'s: easy to borrow, or not shortable"),
    "/v2/wallets/transfers": (403, "POST: coins do not leave the venue; the lists are there, and empty"),
    "/v2/wallets/whitelists": (403, "POST: as transfers"),
    "/v1beta1/logos/NOPE": (404, "known symbols have a placeholder, unless `placeholder=false`"),
    "/v1beta1/indices/bars": (404, "levels of indices are on Polygon's wire"),
    "/v1beta1/fixed_income/latest/prices": (404, "bonds are not traded here"),
    "/vX/reference/financials": (404, NOBODY),
    "/vX/reference/ipos": (404, NOBODY),
    "/vX/reference/tickers/AAPL/events": (404, NOBODY),
    "/v1/related-companies/AAPL": (404, NOBODY),
    "/v1/summaries": (404, "launchpad: another product"),
    "/v1/conversion/EUR/USD": (404, FX),
    "/v1/reference/sec/filings": (404, NOBODY),
    "/stocks/v1/short-interest": (404, "the feed does not say who is short"),
}
