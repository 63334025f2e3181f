// @alpacahq/alpaca-trade-api 3.x: every method of the client, its streams of data and of trading.
const Alpaca = require("alpaca-trade-api-3");
const orders = require("./orders.json");

(async () => {
  const { venue, call, all, methods, watched, say, until, pause } = await import("./say.mjs");
  const { start, end, option, put } = venue;
  const [alpaca, called] = watched(new Alpaca({
    keyId: venue.key, secretKey: venue.secret, baseUrl: venue.url, dataBaseUrl: venue.url, dataStreamUrl: venue.tls,
  }));
  const asked = [];
  const ask = call;

  const trading = alpaca.trade_ws;
  const told = [];
  await ask("trade_ws", async () => {
    trading.onOrderUpdate((each) => told.push(each));
    await new Promise((yes, no) => { trading.onConnect(yes); trading.onError(no); trading.connect(); });
    trading.subscribe(["trade_updates"]);
    return trading.subscriptions();
  });

  await ask("getAccount", () => alpaca.getAccount());
  await ask("getAccountConfigurations", () => alpaca.getAccountConfigurations());
  await ask("updateAccountConfigurations", () => alpaca.updateAccountConfigurations({ no_shorting: false, trade_confirm_email: "none" }));
  await ask("getClock", () => alpaca.getClock());
  await ask("getCalendar", () => alpaca.getCalendar({ start: "2026-01-05", end: "2026-01-09" }));
  await ask("getAssets", () => alpaca.getAssets({ status: "active", asset_class: "us_equity" }));
  await ask("getAsset", () => alpaca.getAsset("AAPL"));

  const made = {};
  for (const [name, body] of orders) {
    made[name] = await ask(`createOrder: ${name}`, () => alpaca.createOrder({ ...body, client_order_id: `v3 ${name}` }));
  }
  await pause(1000);  // the market moves on
  await ask("trade_ws: updates", async () => { await until(() => told.some((each) => each.event === "fill")); return told[0]; });
  trading.disconnect();
  await ask("getOrders: all", () => alpaca.getOrders({ status: "all", limit: 500, nested: true }));
  await ask("getOrders: open of symbols", () => alpaca.getOrders({ status: "open", symbols: "MSFT,AAPL", direction: "asc" }));
  await ask("getOrders: closed between", () => alpaca.getOrders({ status: "closed", after: start, until: end }));
  await ask("getOrder", () => alpaca.getOrder(made.market.id));
  await ask("getOrderByClientId", () => alpaca.getOrderByClientId("v3 limit gtc"));
  await ask("replaceOrder", () => alpaca.replaceOrder(made["limit gtc"].id, { qty: "4", limit_price: "349.5", time_in_force: "gtc" }));
  await ask("cancelOrder", () => alpaca.cancelOrder(made.stop.id));
  await ask("getPositions", () => alpaca.getPositions());
  await ask("getPosition", () => alpaca.getPosition("AAPL"));
  await ask("cancelAllOrders", () => alpaca.cancelAllOrders());
  await ask("closePosition", () => alpaca.closePosition("SPY"));
  await ask("closeAllPositions", () => alpaca.closeAllPositions());
  await ask("getAccountActivities: fills", () => alpaca.getAccountActivities({ activityTypes: "FILL", pageSize: 5, direction: "desc" }));
  await ask("getAccountActivities: several", () => alpaca.getAccountActivities({ activityTypes: ["FILL", "FEE"], after: start }));
  await ask("getPortfolioHistory", () => alpaca.getPortfolioHistory({ period: "1D", timeframe: "1Min" }));

  const list = await ask("addWatchlist", () => alpaca.addWatchlist("v3", ["AAPL"]));
  const id = list?.id;
  await ask("getWatchlists", () => alpaca.getWatchlists());
  await ask("getWatchlist", () => alpaca.getWatchlist(id));
  await ask("addToWatchlist", () => alpaca.addToWatchlist(id, "MSFT"));
  await ask("updateWatchlist", () => alpaca.updateWatchlist(id, { name: "v3 more", symbols: ["AAPL", "SPY"] }));
  await ask("deleteFromWatchlist", () => alpaca.deleteFromWatchlist(id, "SPY"));
  await ask("deleteWatchlist", () => alpaca.deleteWatchlist(id));

  const span = () => ({ start, end });
  await ask("getTradesV2", () => all(alpaca.getTradesV2("AAPL", { ...span(), limit: 7, pageLimit: 3 })));
  await ask("getQuotesV2", () => all(alpaca.getQuotesV2("AAPL", { ...span(), limit: 7 })));
  await ask("getBarsV2", () => all(alpaca.getBarsV2("AAPL", { ...span(), timeframe: alpaca.newTimeframe(1, alpaca.timeframeUnit.MIN), adjustment: alpaca.adjustment.RAW })));
  await ask("getMultiTradesV2", () => alpaca.getMultiTradesV2(["AAPL", "MSFT"], { ...span(), limit: 7 }));
  await ask("getMultiQuotesV2", () => alpaca.getMultiQuotesV2(["AAPL", "MSFT"], { ...span(), limit: 7 }));
  await ask("getMultiBarsV2", () => alpaca.getMultiBarsV2(["AAPL", "MSFT"], { ...span(), timeframe: "5Min" }));
  await ask("getMultiTradesAsyncV2", () => all(alpaca.getMultiTradesAsyncV2(["AAPL", "MSFT"], { ...span(), limit: 7, pageLimit: 3 })));
  await ask("getMultiQuotesAsyncV2", () => all(alpaca.getMultiQuotesAsyncV2(["AAPL", "MSFT"], { ...span(), limit: 7 })));
  await ask("getMultiBarsAsyncV2", () => all(alpaca.getMultiBarsAsyncV2(["AAPL", "MSFT"], { ...span(), timeframe: "1Day" })));
  for (const one of ["getLatestTrade", "getLatestQuote", "getLatestBar", "getSnapshot"]) await ask(one, () => alpaca[one]("AAPL"));
  for (const many of ["getLatestTrades", "getLatestQuotes", "getLatestBars", "getSnapshots"]) await ask(many, () => alpaca[many](["AAPL", "MSFT"]));
  for (const rows of ["getCryptoTrades", "getCryptoQuotes", "getCryptoBars"]) {
    await ask(rows, () => alpaca[rows](["BTC/USD", "ETH/USD"], { ...span(), limit: 7, timeframe: "1Min" }));
  }
  for (const last of ["getLatestCryptoTrades", "getLatestCryptoQuotes", "getLatestCryptoBars", "getCryptoSnapshots", "getCryptoOrderbooks"]) {
    await ask(last, () => alpaca[last](["BTC/USD", "ETH/USD"]));
  }
  await ask("getOptionBars", () => alpaca.getOptionBars([option], { ...span(), timeframe: "1Min" }));
  await ask("getOptionTrades", () => alpaca.getOptionTrades([option], { ...span(), limit: 5 }));
  await ask("getOptionLatestTrades", () => alpaca.getOptionLatestTrades([option, put]));
  await ask("getOptionLatestQuotes", () => alpaca.getOptionLatestQuotes([option, put]));
  await ask("getOptionSnapshots", () => alpaca.getOptionSnapshots([option, put]));
  await ask("getOptionChain", () => alpaca.getOptionChain("AAPL", { pageLimit: 1 }));
  await ask("getCorporateActions", () => alpaca.getCorporateActions(["AAPL"], { ...span() }));
  await ask("getNews", () => alpaca.getNews({ symbols: ["AAPL"], totalLimit: 5 }));

  const streams = {
    data_stream_v2: { Trades: "onStockTrade", Quotes: "onStockQuote", Bars: "onStockBar", UpdatedBars: "onStockUpdatedBar", DailyBars: "onStockDailyBar", Statuses: "onStatuses", Lulds: "onLulds" },
    crypto_stream_v1beta3: { Trades: "onCryptoTrade", Quotes: "onCryptoQuote", Bars: "onCryptoBar", UpdatedBars: "onCryptoUpdatedBar", DailyBars: "onCryptoDailyBar", Orderbooks: "onCryptoOrderbook" },
    option_stream: { Trades: "onOptionTrade", Quotes: "onOptionQuote" },
    news_stream: { News: "onNews" },
  };
  const of = { data_stream_v2: ["AAPL"], crypto_stream_v1beta3: ["BTC/USD"], option_stream: [option], news_stream: ["AAPL"] };
  for (const [name, channels] of Object.entries(streams)) {
    const stream = alpaca[name];
    const heard = {};
    const wrong = [];
    await ask(`${name}: connect`, async () => {
      await new Promise((yes, no) => {
        stream.onConnect(yes);
        stream.onError((each) => { wrong.push(each); stream.session.reconnect = false; no(new Error(String(each))); });
        stream.connect();
      });
      for (const [channel, on] of Object.entries(channels)) {
        stream[on]((each) => { heard[channel] ??= each; });
        stream[`subscribeFor${channel}`](/Statuses|Lulds/.test(channel) ? ["TSLA"] : of[name]);
      }
    });
    if (wrong.length === 0) {
      for (const channel of Object.keys(channels)) {
        await ask(`${name}: ${channel}`, async () => { await until(() => heard[channel], channel === "News" ? 2000 : 12000); return heard[channel]; });
      }
      await ask(`${name}: subscriptions`, async () => stream.getSubscriptions());
      for (const channel of Object.keys(channels)) stream[`unsubscribeFrom${channel}`]?.(of[name]);
    }
    try { stream.disconnect(); } catch { /* it never was connected */ }
  }

  const helpers = ["httpRequest", "dataHttpRequest", "sendRequest"];  // what the others are made of
  for (const name of methods(alpaca)) if (!called.has(name) && !helpers.includes(name)) say(name, "uncalled");
  process.exit(0);
})();
