// Who calls, by where the call comes from: what proxies say counts only when they are ours, and never what a client says of itself.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { addressOfPeer } from "#platform/grpc/peer.ts";
import { networksOf, type ProxyHeader } from "#platform/limit-settings.ts";
import { ClientAddresses, type Origin } from "#platform/limits/client-address.ts";

const networks = z.string().transform(networksOf);

function callFrom(peer: string, headers: Record<string, string>): Origin {
  return { peer, header: (name) => headers[name] };
}

type Case = readonly [what: string, peer: string, header: string | undefined, client: string];

const proxies = "10.0.0.0/8, 192.168.7.1, fd00:1::/32";

const cases: Readonly<Record<ProxyHeader, readonly Case[]>> = {
  "x-forwarded-for": [
    ["nobody between", "203.0.113.9", undefined, "203.0.113.9"],
    ["IPv4 in an IPv6 socket", "::ffff:203.0.113.9", undefined, "203.0.113.9"],
    ["a household's network", "2001:db8:1:2ff:aaaa::1", undefined, "2001:db8:1:200::/56"],
    ["another address of it", "2001:db8:1:201:bbbb::2", undefined, "2001:db8:1:200::/56"],
    ["a forged header without a proxy", "203.0.113.9", "198.51.100.1", "203.0.113.9"],
    ["one of our proxies", "10.1.2.3", "198.51.100.1", "198.51.100.1"],
    ["a single address that is a proxy", "192.168.7.1", "198.51.100.1", "198.51.100.1"],
    ["its neighbour, which is none", "192.168.7.2", "198.51.100.1", "192.168.7.2"],
    ["a proxy by IPv6", "fd00:1:2::3", "198.51.100.1", "198.51.100.1"],
    ["what the client wrote before", "10.1.2.3", "8.8.8.8, 1.1.1.1,198.51.100.1", "198.51.100.1"],
    ["two of our proxies", "10.1.2.3", "8.8.8.8, 198.51.100.1, 10.9.9.9", "198.51.100.1"],
    ["a client that says to be a proxy", "10.1.2.3", "10.0.0.1, 198.51.100.1", "198.51.100.1"],
    ["a client within our network", "10.1.2.3", "10.4.4.4", "10.4.4.4"],
    ["a proxy that says nothing", "10.1.2.3", undefined, "10.1.2.3"],
    ["a proxy that says nonsense", "10.1.2.3", "198.51.100.1, unknown", "10.1.2.3"],
    ["nothing but commas", "10.1.2.3", ",,", "10.1.2.3"],
    ["an address that is written oddly", "10.1.2.3", "0x7f.1", "10.1.2.3"],
    ["ports and brackets", "10.1.2.3", "[2001:db8:1:2ff::1]:443, 10.9.9.9:80", "2001:db8:1:200::/56"],
    ["a zone of the machine's own network", "fe80::1%eth0", undefined, "fe80::/56"],
    ["no network at all", "", undefined, "unknown"],
    ["what grpc-js says when a socket is gone", "unknown", "198.51.100.1", "unknown"],
  ],
  forwarded: [
    ["one of our proxies", "10.1.2.3", "for=198.51.100.1;proto=https;by=10.1.2.3", "198.51.100.1"],
    ["quotes, brackets and a port", "10.1.2.3", 'proto=https; For="[2001:db8:1:2ff::1]:4711"', "2001:db8:1:200::/56"],
    ["what the client wrote before", "10.1.2.3", "for=8.8.8.8, for=198.51.100.1, for=10.9.9.9", "198.51.100.1"],
    [
      "a comma and a semicolon in quotes",
      "10.1.2.3",
      'for=8.8.8.8;host="a,for=1.1.1.1;", for=198.51.100.1',
      "198.51.100.1",
    ],
    ["a hidden client", "10.1.2.3", "for=_hidden", "10.1.2.3"],
    ["an element that is for nobody", "10.1.2.3", "for=8.8.8.8, by=10.1.2.3", "10.1.2.3"],
  ],
};

for (const header of ["x-forwarded-for", "forwarded"] as const) {
  describe(`by ${header}`, () => {
    for (const [what, peer, said, client] of cases[header]) {
      test(`${what}: ${client}`, () => {
        const addresses = new ClientAddresses(networks.parse(proxies), header);
        assert.equal(addresses.of(callFrom(peer, said === undefined ? {} : { [header]: said })), client);
      });
    }

    test("the other header is not read", () => {
      const other: Record<string, string> =
        header === "forwarded" ? { "x-forwarded-for": "8.8.8.8" } : { forwarded: "for=8.8.8.8" };
      assert.equal(new ClientAddresses(networks.parse(proxies), header).of(callFrom("10.1.2.3", other)), "10.1.2.3");
    });
  });
}

test("grpc-js says a port behind the address", () => {
  const peers = ["203.0.113.9:4711", "::ffff:203.0.113.9:4711", "2001:db8::1:4711", "unknown"];
  assert.deepEqual(peers.map(addressOfPeer), ["203.0.113.9", "::ffff:203.0.113.9", "2001:db8::1", "unknown"]);
});

test("a proxy that nobody has named is told of, once", () => {
  const told: string[] = [];
  const addresses = new ClientAddresses([], "x-forwarded-for", (peer) => told.push(peer));
  addresses.of(callFrom("203.0.113.9", {}));
  for (const peer of ["10.1.2.3", "10.1.2.4"]) addresses.of(callFrom(peer, { "x-forwarded-for": "198.51.100.1" }));
  assert.deepEqual(told, ["10.1.2.3"]);
});

for (const wrong of [
  "10.0.0.0/33",
  "10.0.0.0/",
  "10.0.0",
  "010.0.0.0/8",
  "fd00::/x",
  "everybody",
  "10.0.0.0/8;10.1.1.1",
]) {
  test(`"${wrong}" is no list of proxies`, () => {
    assert.match(networks.safeParse(`10.0.0.1,${wrong}`).error?.issues[0]?.message ?? "", /is none/);
  });
}
