// What every driver shares: where the venue is, and one JSON line for each call of the client.
export const venue = JSON.parse(process.env.GPI_VENUE);  // {url, ws, key, secret, start, end, call, put}
const MOST = 6;  // elements of a list, keys of an object by symbol: enough to compare, few enough to read

function short(value, depth = 0) {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Map) return short(Object.fromEntries(value), depth);
  if (typeof value === "bigint") return String(value);
  if (typeof value === "function" || typeof value === "symbol") return undefined;
  if (typeof value === "string") return value.slice(0, 300);
  if (value === null || typeof value !== "object") return value;
  if (depth > 6) return "...";
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (Array.isArray(value)) return value.slice(0, MOST).map((each) => short(each, depth + 1));
  if (value.constructor && value.constructor.name === "Blob") return `${value.size} bytes`;
  return Object.fromEntries(Object.entries(value).slice(0, 80).map(([name, each]) => [name, short(each, depth + 1)]));
}

export function say(call, outcome, detail) {
  process.stdout.write(JSON.stringify({ call, outcome, detail: detail === undefined ? null : short(detail) }) + "\n");
}

export function words(wrong) {
  const answered = wrong?.response;
  const body = answered?.data ?? wrong?.body ?? wrong?.error;
  const status = answered?.status ?? wrong?.statusCode ?? wrong?.status ?? "";
  const text = body && typeof body === "object" ? JSON.stringify(body) : String(body ?? wrong?.message ?? wrong);
  return `${status} ${text.startsWith("<") ? "" : text}`.trim().slice(0, 300);
}

// Do one call of the client and say how it went; gives what the client gave, or undefined.
export async function call(name, what, patience = 20000) {
  let timer;
  const late = new Promise((_, no) => { timer = setTimeout(() => no(new Error("no answer")), patience); });
  try {
    const value = await Promise.race([what(), late]);
    say(name, "worked", value);
    return value;
  } catch (wrong) {
    say(name, "failed", words(wrong));
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

// Everything an asynchronous iterator gives, bounded.
export async function all(items, most = 1000) {
  const found = [];
  for await (const each of await items) {
    found.push(each);
    if (found.length >= most) break;
  }
  return found;
}

// The names of an object's own and inherited methods.
export function methods(of, until = Object.prototype) {
  const found = new Set();
  for (let at = of; at && at !== until; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) {
      const told = Object.getOwnPropertyDescriptor(at, name);
      if (name !== "constructor" && !name.startsWith("_") && typeof told.value === "function") found.add(name);
    }
  }
  return [...found].sort();
}

// A client that remembers which of its methods were called.
export function watched(client, called = new Set()) {
  const proxy = new Proxy(client, {
    get(of, name) {
      const value = Reflect.get(of, name, of);
      if (typeof value !== "function") return value;
      return (...given) => { called.add(name); return value.apply(of, given); };
    },
  });
  return [proxy, called];
}

export const pause = (ms) => new Promise((yes) => setTimeout(yes, ms));

// Wait until something is true; an error otherwise.
export async function until(what, patience = 15000) {
  const end = Date.now() + patience;
  while (!what()) {
    if (Date.now() > end) throw new Error("nothing came");
    await pause(20);
  }
}
