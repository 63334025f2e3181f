// @alpacahq/typescript-sdk: every function of the client. It waits a second before each request, so they go together.
import fs from "node:fs";
import { createClient } from "@alpacahq/typescript-sdk";
import { call, methods, pause, say, venue } from "./say.mjs";

const orders = JSON.parse(fs.readFileSync(new URL("./orders.json", import.meta.url)));
const alpaca = createClient({ key: venue.key, secret: venue.secret, baseURL: venue.url, tokenBucket: { capacity: 200, fillRate: 60 } });
const { start, end, option, put } = venue;
const called = new Set();
const ask = (name, what, label = name) => { called.add(name); return call(label, what, 30000); };

const calm = [
  ["getAccount"], ["getConfigurations"], ["updateConfigurations", { no_shorting: false }], ["getClock"],
  ["getCalendar", { start: "2026-01-05", end: "2026-01-09" }], ["getAsset", { symbol_or_asset_id: "AAPL" }],
  ["getAssets", { status: "active", asset_class: "us_equity" }], ["getPortfolioHistory", { period: "1D", timeframe: "1Min" }],
  ["getOptionsContract", { symbol_or_contract_id: option }], ["getOptionsContracts", { underlying_symbols: "AAPL" }],
  ["getCorporateActions", { ca_types: "dividend", since: "2026-01-01", until: "2026-01-31" }], ["getCorporateAction", { id: "7b1c9a7e-3f5e-4b8e-8d64-6a1d1ef9b6a1" }],
  ["getCryptoWallet", { asset: "BTC" }], ["getCryptoWallets"], ["getFeeEstimate", { asset: "BTC", from_address: "a", to_address: "b", amount: "1" }],
  ["getCryptoTransfer", { transfer_id: "7b1c9a7e-3f5e-4b8e-8d64-6a1d1ef9b6a1" }], ["getCryptoTransfers", {}],
  ["createCryptoTransfer", { amount: "1", address: "a", asset: "BTC" }], ["getCryptoWhitelistedAddress", { address: "a" }],
  ["getCryptoWhitelistedAddresses"], ["requestCryptoWhitelistedAddress", { address: "a", asset: "BTC" }],
  ["removeCryptoWhitelistedAddress", { whitelisted_address_id: "7b1c9a7e-3f5e-4b8e-8d64-6a1d1ef9b6a1" }],
  ["getStocksCorporateActions", { symbols: "AAPL" }], ["getLogo", { symbol: "AAPL" }], ["getNews", { symbols: "AAPL" }],
  ["getStocksMostActives", { by: "volume", top: 3 }], ["getStocksMarketMovers", { by: "percent_change", top: 3 }],
  ["getStocksQuotes", { symbols: "AAPL,MSFT", start, end, limit: 5 }], ["getStocksQuotesLatest", { symbols: "AAPL,MSFT" }],
  ["getStocksBars", { symbols: "AAPL,MSFT", timeframe: "1Min", start, end, limit: 5 }], ["getStocksBarsLatest", { symbols: "AAPL,MSFT" }],
  ["getStocksTrades", { symbols: "AAPL,MSFT", start, end, limit: 5 }], ["getStocksTradesLatest", { symbols: "AAPL,MSFT" }],
  ["getStocksSnapshots", { symbols: "AAPL,MSFT" }], ["getStocksAuctions", { symbols: "AAPL", start, end }],
  ["getStocksConditions", { tickType: "trade", tape: "A" }], ["getStocksExchangeCodes"],
  ["getForexRates", { currency_pairs: "EURUSD", timeframe: "1Min", start, end }], ["getLatestForexRates", { currency_pairs: "EURUSD" }],
  ["getOptionsBars", { symbols: option, timeframe: "1Min", start, end }], ["getOptionsExchanges"], ["getOptionsSnapshots", { symbols: `${option},${put}` }],
  ["getOptionsTrades", { symbols: option, start, end }], ["getOptionsTradesLatest", { symbols: option }],
  ["getCryptoBars", { symbols: "BTC/USD", timeframe: "1Min", start, end }], ["getLatestCryptoBars", { loc: "us", symbols: "BTC/USD" }],
  ["getCryptoQuotes", { symbols: "BTC/USD", start, end }], ["getCryptoQuotesLatest", { loc: "us", symbols: "BTC/USD" }],
  ["getCryptoSnapshots", { symbols: "BTC/USD" }], ["getCryptoTrades", { loc: "us", symbols: "BTC/USD", start, end }],
  ["getCryptoTradesLatest", { loc: "us", symbols: "BTC/USD" }], ["getLatestCryptoOrderbooks", { loc: "us", symbols: "BTC/USD" }],
];
await Promise.all(calm.map(([name, words]) => ask(name, () => alpaca[name](words))));

const made = {};
for (const [name, body] of orders) {
  made[name] = await ask("createOrder", () => alpaca.createOrder({ ...body, client_order_id: `ts ${name}` }), `createOrder: ${name}`);
}
await pause(1000);  // the market moves on
await ask("getOrders", () => alpaca.getOrders({ status: "all", nested: true, limit: 500 }));
await ask("getOrder", () => alpaca.getOrder({ order_id: made.market.id }));
await ask("replaceOrder", () => alpaca.replaceOrder({ order_id: made["limit gtc"].id, qty: "4", limit_price: "349.5", time_in_force: "gtc" }));
await ask("cancelOrder", () => alpaca.cancelOrder({ order_id: made.stop.id }));
await ask("getPositions", () => alpaca.getPositions());
await ask("getPosition", () => alpaca.getPosition({ symbol_or_asset_id: "AAPL" }));
await ask("getActivities", () => alpaca.getActivities());
await ask("getActivity", () => alpaca.getActivity({ activity_type: "FILL" }));
await ask("cancelOrders", () => alpaca.cancelOrders());
await ask("exerciseOption", () => alpaca.exerciseOption({ symbol_or_contract_id: option }));
await ask("closePosition", () => alpaca.closePosition({ symbol_or_asset_id: "SPY" }));
await ask("closePositions", () => alpaca.closePositions());
const list = await ask("createWatchlist", () => alpaca.createWatchlist({ name: "ts", symbols: ["AAPL"] }));
await ask("getWatchlists", () => alpaca.getWatchlists());
await ask("getWatchlist", () => alpaca.getWatchlist({ watchlist_id: list?.id }));
await ask("updateWatchlist", () => alpaca.updateWatchlist({ watchlist_id: list?.id, name: "ts more", symbols: ["AAPL", "SPY"] }));
await ask("deleteWatchlist", () => alpaca.deleteWatchlist({ watchlist_id: list?.id }));
for (const name of methods(alpaca)) if (!called.has(name)) say(name, "uncalled");
process.exit(0);
