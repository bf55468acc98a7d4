// One request, by a real connection: whom it reaches, whom it does not, and what of the answer comes back.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import ipaddr from "ipaddr.js";
import { Authority } from "#testing/certificates.ts";
import { Courier, longestAnswer } from "../src/wall/courier.ts";
import type { NameResolver } from "../src/wall/look-up.ts";
import { Walls } from "../src/wall/walls.ts";

const loopback = [ipaddr.parseCIDR("127.0.0.0/8")];
const letter = { headers: { "webhook-id": "1" }, body: "{}" };

/** Knows these names, and says something else each time it is asked, if it is told so. */
function resolverOf(names: Readonly<Record<string, string | readonly string[][]>>): NameResolver & { asked: number } {
  const answer = (name: string, family: number) => {
    const known = names[name];
    if (known === undefined) return Promise.reject(Object.assign(new Error(name), { code: "ENOTFOUND" }));
    const list = typeof known === "string" ? [known] : [...(known[Math.min(resolver.asked, known.length - 1)] ?? [])];
    return Promise.resolve(list.filter((address) => address.includes(":") === (family === 6)));
  };
  const resolver = {
    asked: 0,
    resolve4: (name: string) => answer(name, 4),
    resolve6: (name: string) => answer(name, 6).finally(() => (resolver.asked += 1)),
  };
  return resolver as unknown as NameResolver & { asked: number };
}

describe("a courier", () => {
  let server: Server;
  let port: number;
  let reached: string[] = [];
  let answer: RequestListener;
  before(async () => {
    server = createServer((request, response) => {
      reached.push(`${request.method} ${request.url}`);
      answer(request, response);
    });
    port = await listening(server);
  });
  after(() => server.close());

  function courier(
    given: { names?: Parameters<typeof resolverOf>[0]; networks?: typeof loopback; timeoutMs?: number } = {},
  ) {
    const { names = {}, networks = loopback, timeoutMs = 5_000 } = given;
    const walls = new Walls({ ports: [port, 443], plainHttp: true, networks });
    reached = [];
    return new Courier({ walls, resolver: resolverOf(names), timeoutMs });
  }

  it("brings a letter, and back what was said", async () => {
    answer = (_, response) => response.writeHead(202, { "retry-after": "7" }).end("thanks");
    const reply = await courier({ names: { "shop.example": "127.0.0.1" } }).send({
      ...letter,
      url: `http://shop.example:${port}/hooks?a=1`,
    });
    assert.deepEqual(reply, { status: 202, answer: "thanks", retryAfter: "7" });
    assert.deepEqual(reached, ["POST /hooks?a=1"]);
  });

  it("follows nobody to another address", async () => {
    answer = (_, response) => response.writeHead(307, { location: `http://127.0.0.1:${port}/inside` }).end();
    const reply = await courier().send({ ...letter, url: `http://127.0.0.1:${port}/` });
    assert.deepEqual(reply, { status: 307, answer: "", retryAfter: undefined });
    assert.deepEqual(reached, ["POST /"]);
  });

  for (const [what, addresses] of [
    ["to this machine", ["127.0.0.1"]],
    ["to a machine's own data", ["169.254.169.254"]],
    ["to this machine by IPv6", ["::1"]],
    ["to this machine by an address of IPv4 in IPv6", ["::ffff:127.0.0.1"]],
    ["to several places, one of them inside", ["93.184.216.34", "127.0.0.1"]],
    ["to two families, one of them inside", ["93.184.216.34", "fd00::1"]],
  ] as const) {
    it(`goes nowhere when a name leads ${what}`, async () => {
      answer = (_, response) => response.end();
      const names = { "shop.example": [[...addresses]] };
      const reply = await courier({ names, networks: [] }).send({ ...letter, url: `http://shop.example:${port}/` });
      assert.deepEqual(reply, { failure: "address" });
      assert.deepEqual(reached, []);
    });
  }

  it("connects to the very addresses that it has looked at", async () => {
    answer = (_, response) => response.end();
    const resolver = resolverOf({ "shop.example": [["127.0.0.1"], ["169.254.169.254"]] });
    const walls = new Walls({ ports: [port], plainHttp: true, networks: loopback });
    const one = new Courier({ walls, resolver, timeoutMs: 5_000 });
    assert.equal("status" in (await one.send({ ...letter, url: `http://shop.example:${port}/` })), true);
    assert.equal(resolver.asked, 1);
    assert.deepEqual(await one.send({ ...letter, url: `http://shop.example:${port}/` }), { failure: "address" });
  });

  it("looks at an address that stands instead of a name, although no name is looked up", async () => {
    const reply = await courier({ networks: [] }).send({ ...letter, url: `http://127.0.0.1:${port}/` });
    assert.deepEqual(reply, { failure: "address" });
    assert.deepEqual(reached, []);
  });

  it("says when a name leads nowhere, and when nobody is there", async () => {
    assert.deepEqual(await courier().send({ ...letter, url: `http://gone.example:${port}/` }), { failure: "name" });
    const free = await freePort();
    const walls = new Walls({ ports: [free], plainHttp: true, networks: loopback });
    const other = new Courier({ walls, resolver: resolverOf({}), timeoutMs: 5_000 });
    assert.deepEqual(await other.send({ ...letter, url: `http://127.0.0.1:${free}/` }), { failure: "connection" });
  });

  it("reads no more of an answer than it may", async () => {
    answer = (_, response) => response.end("x".repeat(1_000_000));
    const reply = await courier().send({ ...letter, url: `http://127.0.0.1:${port}/` });
    assert.equal("status" in reply && reply.answer.length, longestAnswer);
  });

  for (const [what, say] of [
    ["says nothing", () => undefined],
    [
      "says something without an end",
      (response: Parameters<RequestListener>[1]) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write("."), 20);
        response.on("close", () => clearInterval(timer));
      },
    ],
  ] as const) {
    it(`gives up on who ${what}`, async () => {
      answer = (_, response) => say(response);
      const reply = await courier({ timeoutMs: 200 }).send({ ...letter, url: `http://127.0.0.1:${port}/` });
      assert.deepEqual(reply, { failure: "timeout" });
    });
  }

  it("gives up on a name that nobody answers for, in the same time", async () => {
    const never = () => new Promise<never>(() => undefined);
    const walls = new Walls({ ports: [port], plainHttp: true, networks: loopback });
    const resolver = { resolve4: never, resolve6: never } as unknown as NameResolver;
    const slow = new Courier({ walls, resolver, timeoutMs: 200 });
    assert.deepEqual(await slow.send({ ...letter, url: `http://shop.example:${port}/` }), { failure: "timeout" });
  });

  it("is stopped by whoever sent it", async () => {
    answer = () => undefined;
    const stop = new AbortController();
    const sent = courier().send({ ...letter, url: `http://127.0.0.1:${port}/` }, stop.signal);
    setTimeout(() => stop.abort(), 50);
    assert.deepEqual(await sent, { failure: "aborted" });
  });

  it("believes no certificate that nobody has signed whom it knows, nor one of another name", async () => {
    const authority = await Authority.create();
    const files = await authority.issue("shop.example");
    const [cert, key, ca] = await Promise.all([
      readFile(files.GRPC_TLS_CERT),
      readFile(files.GRPC_TLS_KEY),
      readFile(files.GRPC_TLS_CA, "utf8"),
    ]);
    const secure = createTlsServer({ cert, key }, (_, response) => response.writeHead(204).end());
    const tlsPort = await listening(secure);
    const walls = new Walls({ ports: [tlsPort], plainHttp: false, networks: loopback });
    const resolver = resolverOf({ "shop.example": "127.0.0.1", "other.example": "127.0.0.1" });
    const send = (name: string, known?: string) =>
      new Courier({ walls, resolver, timeoutMs: 5_000, ...(known !== undefined && { ca: known }) }).send({
        ...letter,
        url: `https://${name}:${tlsPort}/`,
      });
    assert.deepEqual(await send("shop.example"), { failure: "tls" });
    assert.deepEqual(await send("other.example", ca), { failure: "tls" });
    assert.deepEqual(await send("shop.example", ca), { status: 204, answer: "", retryAfter: undefined });
    secure.close();
    await authority[Symbol.asyncDispose]();
  });
});

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  server.close();
  await once(server, "close");
  return port;
}
