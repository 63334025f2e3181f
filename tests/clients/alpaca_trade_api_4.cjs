// @alpacahq/alpaca-trade-api 4.x: every generated method, every helper above them, and the streams.
const { Alpaca } = require("alpaca-trade-api-4");
const orders = require("./orders.json");

(async () => {
  const { venue, call, all, methods, say, until, pause } = await import("./say.mjs");
  const { option, put } = venue;
  const fetchApi = (url, init) => fetch(String(url).replace(/^https:\/\/[^/]+/, venue.url), init);  // REST hosts are its own
  const alpaca = new Alpaca({ keyId: venue.key, secret: venue.secret, fetchApi, retry: false, rateLimit: false });
  const { trading, marketData } = alpaca;
  const [start, end] = [new Date(venue.start), new Date(venue.end)];
  const none = "7b1c9a7e-3f5e-4b8e-8d64-6a1d1ef9b6a1";
  const called = new Set();
  const ask = (name, what, label = name) => { called.add(name); return call(label, what); };

  await ask("trading.validateConnection", async () => {
    const told = await trading.validateConnection();
    if (told.ok === false) throw new Error(JSON.stringify(told));
    return told;
  });
  const stream = trading.stream({ url: `${venue.ws}/stream` });
  const told = [];
  await ask("trading.stream", async () => {
    stream.onTradeUpdate((each) => told.push(each));
    stream.onConnect(() => stream.subscribeTradeUpdates());
    stream.connect();
    return stream.waitForAuthenticationResult(15000);
  });

  // orders: the helpers of each kind, then everything through submit
  const made = {};
  const kinds = {
    market: { symbol: "AAPL", qty: 10, side: "buy" }, limit: { symbol: "MSFT", qty: 3, side: "buy", limitPrice: 350.25, timeInForce: "gtc" },
    stop: { symbol: "MSFT", qty: 2, side: "buy", stopPrice: 450.5 }, stopLimit: { symbol: "MSFT", qty: 2, side: "buy", stopPrice: 450.5, limitPrice: 451 },
    trailingStop: { symbol: "AAPL", qty: 1, side: "sell", trailPercent: 10 },
    bracket: { symbol: "AAPL", qty: 2, side: "buy", type: "market", timeInForce: "gtc", takeProfit: { limitPrice: 250 }, stopLoss: { stopPrice: 140, limitPrice: 139.5 } },
    oco: { symbol: "AAPL", qty: 1, side: "sell", timeInForce: "gtc", takeProfit: { limitPrice: 251 }, stopLoss: { stopPrice: 141 } },
    oto: { symbol: "MSFT", qty: 1, side: "buy", type: "limit", limitPrice: 351, timeInForce: "gtc", stopLoss: { stopPrice: 300 } },
  };
  for (const [kind, input] of Object.entries(kinds)) {
    made[kind] = await ask(`trading.orders.${kind}`, () => trading.orders[kind]({ ...input, clientOrderId: `v4 ${kind}` }));
  }
  const camel = (value) => Array.isArray(value) ? value.map(camel) : value && typeof value === "object"
    ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()), camel(each)])) : value;
  for (const [name, body] of orders) {
    await ask("trading.orders.submit", () => trading.orders.submit({ ...camel(body), clientOrderId: `v4 submit ${name}` }), `trading.orders.submit: ${name}`);
  }
  await pause(1000);  // the market moves on
  await ask("trading.orders.postOrder", () => trading.orders.postOrder({ postOrderRequest: { symbol: "MSFT", qty: "1", side: "buy", type: "market", timeInForce: "day", clientOrderId: "v4 post" } }));
  await ask("trading.submitAndWait", () => trading.submitAndWait({ symbol: "MSFT", qty: "1", side: "buy", type: "market", timeInForce: "day", clientOrderId: "v4 wait" }, { timeoutMs: 15000, stream }));
  await call("trading.stream: updates", async () => { await until(() => told.some((each) => each.event === "fill")); return told.find((each) => each.event === "fill"); });
  stream.disconnect();
  await ask("trading.orders.getAllOrders", () => trading.orders.getAllOrders({ status: "all", limit: 500, nested: true }));
  await ask("trading.orders.getAllOrders", () => trading.orders.getAllOrders({ status: "open", symbols: ["AAPL", "MSFT"], side: "buy", direction: "asc", after: start.toISOString() }), "trading.orders.getAllOrders: filters");
  await ask("trading.orders.getOrderByOrderID", () => trading.orders.getOrderByOrderID({ orderId: made.bracket.id, nested: true }));
  await ask("trading.orders.getOrderByClientOrderId", () => trading.orders.getOrderByClientOrderId({ clientOrderId: "v4 limit" }));
  await ask("trading.orders.patchOrderByOrderId", () => trading.orders.patchOrderByOrderId({ orderId: made.limit.id, patchOrderRequest: { qty: "4", limitPrice: "349.5", timeInForce: "gtc" } }));
  await ask("trading.orders.deleteOrderByOrderID", () => trading.orders.deleteOrderByOrderID({ orderId: made.stop.id }));
  await ask("trading.positions.getAllOpenPositions", () => trading.positions.getAllOpenPositions());
  await ask("trading.positions.getOpenPosition", () => trading.positions.getOpenPosition({ symbolOrAssetId: "AAPL" }));
  await ask("trading.orders.deleteAllOrders", () => trading.orders.deleteAllOrders());
  await ask("trading.positions.optionDoNotExercise", () => trading.positions.optionDoNotExercise({ symbolOrContractId: option }));
  await ask("trading.positions.optionExercise", () => trading.positions.optionExercise({ symbolOrContractId: option }));
  await ask("trading.positions.deleteOpenPosition", () => trading.positions.deleteOpenPosition({ symbolOrAssetId: "SPY", percentage: 100 }));
  await ask("trading.positions.deleteAllOpenPositions", () => trading.positions.deleteAllOpenPositions({ cancelOrders: true }));
  await ask("trading.closeAllPositions", () => trading.closeAllPositions({ cancelOrders: true }));

  const list = await ask("trading.watchlists.postWatchlist", () => trading.watchlists.postWatchlist({ createWatchlistRequest: { name: "v4", symbols: ["AAPL"] } }));
  const id = { watchlistId: list?.id };
  const more = (name) => ({ updateWatchlistRequest: { name, symbols: ["AAPL", "SPY"] } });
  for (const [name, words] of [
    ["getWatchlists"], ["getWatchlistById", id], ["getWatchlistByName", { name: "v4" }], ["addAssetToWatchlist", { ...id, addAssetToWatchlistRequest: { symbol: "MSFT" } }],
    ["addAssetToWatchlistByName", { name: "v4", addAssetToWatchlistRequest: { symbol: "SPY" } }], ["removeAssetFromWatchlist", { ...id, symbol: "SPY" }],
    ["updateWatchlistById", { ...id, ...more("v4") }], ["updateWatchlistByName", { name: "v4", ...more("v4") }], ["deleteWatchlistByName", { name: "v4" }],
  ]) await ask(`trading.watchlists.${name}`, () => trading.watchlists[name](words));
  const other = await trading.watchlists.postWatchlist({ createWatchlistRequest: { name: "v4 b", symbols: [] } }).catch(() => undefined);
  await ask("trading.watchlists.deleteWatchlistById", () => trading.watchlists.deleteWatchlistById({ watchlistId: other?.id }));

  // every generated method that is left: each takes what it knows of these words
  const some = {
    symbolOrAssetId: "AAPL", underlyingSymbols: "AAPL", symbolOrId: option, status: "active", assetClass: "us_equity", market: "NYSE",
    start, end, caTypes: "dividend", since: venue.day, until: venue.day, id: none, activityType: "FILL", pageSize: 5, period: "1D", timeframe: "1Min",
    accountConfigurations: { noShorting: false }, asset: "BTC", fromAddress: "a", toAddress: "b", amount: "1", transferId: none, whitelistedAddressId: none,
    createCryptoTransferRequest: { amount: "1", address: "a", asset: "BTC" }, createWhitelistedAddressRequest: { address: "a", asset: "BTC" },
    createLocateRequest: { symbol: "AAPL", qty: 100 }, idempotencyKey: none, locateId: none, tokenizationRequestId: none, clientRequestId: none, xAlpacaClientRequestId: none,
    postTokenizationMintRequest: { underlyingSymbol: "AAPL", qty: "1", issuer: "xstocks", network: "solana", walletAddress: "a" }, tokenizationMintRequest: { underlyingSymbol: "AAPL", qty: "1", issuer: "xstocks", network: "solana", walletAddress: "a" },
    symbols: "AAPL,MSFT", symbol: "AAPL", limit: 7, tape: "A", ticktype: "trade", by: "volume", top: 3, marketType: "stocks", isins: "US0378331005", currencyPairs: "EURUSD", types: "cash_dividend",
  };
  const own = {
    "trading.assets": { limit: 100 }, "trading.locates": { status: undefined }, "trading.portfolioHistory": { start: undefined, end: undefined }, "trading.events": { since: start, until: end },
    "trading.calendar": { start: new Date("2026-01-05"), end: new Date("2026-01-09"), timezone: "America/New_York" }, "marketData.crypto": { loc: "us", symbols: "BTC/USD,ETH/USD" },
    "marketData.cryptoPerpetualFutures": { loc: "global", symbols: "BTC-PERP" }, "marketData.options": { symbols: `${option},${put}`, underlyingSymbol: "AAPL" },
    "marketData.indices": { symbols: "SPX" }, "trading.cryptoFunding": { asset: "BTC" }, "trading.accountActivities": { date: undefined, until: undefined },
  };
  const inherited = new Set(["withMiddleware", "withPreMiddleware", "withPostMiddleware", "isJsonMime", "request", "createFetchParams", "clone", "fetchApi"]);
  for (const [name, space] of [["trading", trading], ["marketData", marketData]]) {
    const places = Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(space))).filter(([, told]) => told.get).map(([at]) => at);
    for (const place of places) {
      const api = space[place];
      for (const method of methods(api)) {
        const full = `${name}.${place}.${method}`;
        if (method.endsWith("Raw") || inherited.has(method) || called.has(full)) continue;
        const patience = full.endsWith("SSE") ? 3000 : 20000;
        await call(full, () => api[method]({ ...some, ...own[`${name}.${place}`] }), patience);
      }
    }
  }

  // the helpers above them
  const rows = { symbols: ["AAPL", "MSFT"], symbol: "AAPL", start, end, timeframe: "1Min", limit: 7 };
  const coins = { ...rows, loc: "us", symbols: ["BTC/USD"] };
  const contracts = { ...rows, symbols: [option], underlyingSymbol: "AAPL" };
  for (const method of methods(marketData)) {
    if (/Stream$/.test(method)) continue;
    const words = /Crypto/.test(method) ? coins : /Option/.test(method) ? contracts : /Index/.test(method) ? { ...rows, symbols: ["SPX"] }
      : /Forex/.test(method) ? { ...rows, currencyPairs: ["EURUSD"] } : rows;
    await ask(`marketData.${method}`, async () => {
      if (method === "getLatestPrice") return marketData.getLatestPrice("AAPL");
      if (method.endsWith("For")) return marketData[method](words.symbols[0], words);
      return method.startsWith("iterate") ? all(marketData[method](words), 20) : marketData[method](words);
    });
  }
  for (const [method, words] of [["OptionsContracts", { underlyingSymbols: "AAPL", limit: 1 }], ["Activities", { pageSize: 3 }], ["ActivitiesByType", { activityType: "FILL", pageSize: 3 }]]) {
    await ask(`trading.iterate${method}`, () => all(trading[`iterate${method}`](words), 50));
    await ask(`trading.collect${method}`, () => trading[`collect${method}`](words));
  }
  for (const method of methods(trading)) if (!called.has(`trading.${method}`)) say(`trading.${method}`, "uncalled");

  const sockets = [
    ["stockStream", `${venue.ws}/v2/iex`, ["AAPL"], ["Trade", "Quote", "Bar", "UpdatedBar", "DailyBar", "Status", "Luld"], { Status: "Statuses" }],
    ["cryptoStream", `${venue.ws}/v1beta3/crypto/us`, ["BTC/USD"], ["Trade", "Quote", "Bar", "UpdatedBar", "DailyBar", "Orderbook"], {}],
    ["optionStream", `${venue.ws}/v1beta1/indicative`, [option], ["Trade", "Quote"], {}],
    ["newsStream", `${venue.ws}/v1beta1/news`, ["AAPL"], ["News"], { News: "News" }],
  ];
  for (const [name, url, symbols, channels, plural] of sockets) {
    const socket = marketData[name]({ url });
    const heard = {};
    const open = await ask(`marketData.${name}`, async () => {
      for (const channel of channels) socket[`on${channel}`]((each) => { heard[channel] ??= each; });
      socket.onConnect(() => channels.forEach((channel) => socket[`subscribeFor${plural[channel] ?? `${channel}s`}`](/Status|Luld/.test(channel) ? ["TSLA"] : symbols)));
      socket.connect();
      const told = await socket.waitForAuthenticationResult(15000);
      if (!told || told.authenticated === false || told.ok === false) throw new Error(JSON.stringify(told));
      return told;
    });
    if (open) for (const channel of channels) {
      await call(`marketData.${name}: ${channel}`, async () => { await until(() => heard[channel], channel === "News" ? 2000 : 12000); return heard[channel]; });
    }
    await call(`marketData.${name}: subscriptions`, async () => socket.getSubscriptions());
    socket.disconnect();
  }
  process.exit(0);
})();
