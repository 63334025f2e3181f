// @polygon.io/client-js: every method of the REST client, by the names of its parameters, and its six sockets.
import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { restClient, websocketClient } from "@polygon.io/client-js";
import { call, methods, say, until, venue } from "./say.mjs";

const main = fileURLToPath(import.meta.resolve("@polygon.io/client-js"));
const rest = restClient(venue.secret, venue.url);
const paged = restClient(venue.secret, venue.url, { pagination: true });
const option = `O:${venue.option}`;

// What each parameter is given; by the name it has in the client's own declarations.
const words = {
  stocksTicker: "AAPL", stockTicker: "AAPL", optionsTicker: option, optionContract: option, underlyingAsset: "AAPL",
  cryptoTicker: "X:BTCUSD", indicesTicker: "I:SPX", forexTicker: "C:EURUSD", fxTicker: "C:EURUSD",
  multiplier: 1, timespan: "minute", date: venue.day, direction: "gainers", id: "AAPL", productCode: "ES", limit: 5,
};
const special = {
  getCryptoOpenClose: { from: "BTC", to: "USD" }, getLastCryptoTrade: { from: "BTC", to: "USD" }, getLastCurrencyQuote: { from: "EUR", to: "USD" },
  getCurrencyConversion: { from: "EUR", to: "USD" }, deprecatedGetHistoricCryptoTrades: { from: "BTC", to: "USD" },
  deprecatedGetHistoricForexQuotes: { from: "EUR", to: "USD" }, deprecatedGetCryptoSnapshotTickerBook: { ticker: "X:BTCUSD" },
  getCryptoSnapshotTicker: { ticker: "X:BTCUSD" }, getForexSnapshotTicker: { ticker: "C:EURUSD" }, getCryptoTrades: { cryptoTicker: "X:BTC-USD" },
  getOptionsTrades: { optionsTicker: option }, getIndicesSnapshot: { tickerAnyOf: "I:SPX" }, getSnapshots: { tickerAnyOf: `AAPL,${option},X:BTCUSD,I:SPX` },
  getSnapshotSummary: { tickerAnyOf: "AAPL" }, getFuturesQuotes: { ticker: "ESH6" }, getFuturesTrades: { ticker: "ESH6" }, getFuturesAggregates: { ticker: "ESH6" },
  getFuturesContractDetails: { ticker: "ESH6" },
};
const declared = fs.readFileSync(main.replace(/main\.js$/, "main.d.ts"), "utf8");
const api = declared.slice(declared.indexOf("declare class DefaultApi extends BaseAPI"));
const helpers = ["withMiddleware", "withPreMiddleware", "withPostMiddleware"];
for (const name of methods(rest)) {
  const told = api.match(new RegExp(`^    ${name}\\((.*?)\\): Promise`, "m"));
  if (!told) { if (!helpers.includes(name)) say(name, "uncalled"); continue; }
  const given = told[1].split(", ").map((each) => each.split(":")[0]).filter((each) => each !== "options?").map((each) => {
    const bare = each.replace("?", "");
    const own = special[name]?.[bare];
    if (own !== undefined) return own;
    if (bare === "from" || bare === "to") return venue.day;
    if (bare === "ticker" && !each.endsWith("?")) return "AAPL";
    if (each.endsWith("?") && !["limit", "timespan"].includes(bare)) return undefined;
    return words[bare];
  });
  await call(name, async () => { const got = await rest[name](...given); return got.data ?? got; });
}
await call("getStocksTrades: all pages", async () => {
  const got = await paged.getStocksTrades("AAPL", undefined, undefined, undefined, undefined, undefined, "asc", 50);
  const rows = (got.data ?? got).results;
  if (rows.length < 100) throw new Error(`${rows.length} trades`);
  return rows;
});

const sockets = websocketClient(venue.secret, venue.ws);
const topics = {
  stocks: { T: "T.AAPL", Q: "Q.AAPL", A: "A.AAPL", AM: "AM.AAPL" }, options: { T: `T.${option}`, Q: `Q.${option}`, A: `A.${option}`, AM: `AM.${option}` },
  crypto: { XT: "XT.BTC-USD", XQ: "XQ.BTC-USD", XA: "XA.BTC-USD" }, indices: { V: "V.I:SPX", AM: "AM.I:SPX" }, forex: { C: "C.EUR/USD" }, futures: { T: "T.ESH6" },
};
for (const [market, channels] of Object.entries(topics)) {
  const heard = {};
  let socket;
  const open = await call(`websocket ${market}`, async () => {
    socket = sockets[market]();
    const said = [];
    socket.onerror = (wrong) => said.push({ status: "error", message: String(wrong?.message ?? "refused") });
    socket.onmessage = ({ data }) => { for (const each of JSON.parse(data)) { said.push(each); heard[each.ev] ??= each; } };
    await until(() => said.some((each) => each.status === "auth_success" || each.status === "error"));
    const bad = said.find((each) => each.status === "error");
    if (bad) throw new Error(bad.message);
    socket.send(JSON.stringify({ action: "subscribe", params: Object.values(channels).join(",") }));
    return said;
  });
  if (open) for (const channel of Object.keys(channels)) {
    await call(`websocket ${market}: ${channel}`, async () => { await until(() => heard[channel], 12000); return heard[channel]; });
  }
  try { socket?.close(); } catch { /* it never was open */ }
}
process.exit(0);
