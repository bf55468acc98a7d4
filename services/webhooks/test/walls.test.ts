// Where nothing is sent, whoever asks for it, and whatever it is spelled like.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import ipaddr from "ipaddr.js";
import { literalOf, type UrlRule, Walls } from "../src/wall/walls.ts";

const production = new Walls({ ports: [443, 8443], plainHttp: false, networks: [] });

describe("the walls", () => {
  const refused: readonly (readonly [string, UrlRule])[] = [
    ["", "url"],
    ["shop.example", "url"],
    ["https://", "url"],
    ["http://shop.example/hooks", "scheme"],
    ["ftp://shop.example/", "scheme"],
    ["file:///etc/passwd", "scheme"],
    ["gopher://shop.example:443/", "scheme"],
    ["https://user@shop.example/", "credentials"],
    ["https://:secret@shop.example/", "credentials"],
    ["https://shop.example/#part", "fragment"],
    ["https://shop.example/#", "fragment"],
    ["https://shop.example:22/", "port"],
    ["https://shop.example:80/", "port"],
    ["https://127.0.0.1/", "address"],
    ["https://2130706433/", "address"],
    ["https://0x7f.1/", "address"],
    ["https://0177.0.0.1/", "address"],
    ["https://127.1/", "address"],
    ["https://１２７.０.０.１/", "address"],
    ["https://127。0。0。1/", "address"],
    ["https://127.0.0.1./", "address"],
    ["https://0/", "address"],
    ["https://10.0.0.1/", "address"],
    ["https://172.31.255.255/", "address"],
    ["https://192.168.1.1/", "address"],
    ["https://100.64.0.1/", "address"],
    ["https://169.254.169.254/latest/meta-data/", "address"],
    ["https://168.63.129.16/", "address"],
    ["https://192.0.0.192/", "address"],
    ["https://198.18.0.1/", "address"],
    ["https://224.0.0.1/", "address"],
    ["https://255.255.255.255/", "address"],
    ["https://[::]/", "address"],
    ["https://[::1]/", "address"],
    ["https://[::ffff:127.0.0.1]/", "address"],
    ["https://[::ffff:7f00:1]/", "address"],
    ["https://[::ffff:8.8.8.8]/", "address"],
    ["https://[::127.0.0.1]/", "address"],
    ["https://[64:ff9b::a9fe:a9fe]/", "address"],
    ["https://[64:ff9b:1::a9fe:a9fe]/", "address"],
    ["https://[2002:7f00:1::]/", "address"],
    ["https://[2001::1]/", "address"],
    ["https://[fe80::1]/", "address"],
    ["https://[fd00:ec2::254]/", "address"],
    ["https://[fec0::1]/", "address"],
    ["https://[ff02::1]/", "address"],
    ["https://[4000::1]/", "address"],
  ];
  for (const [url, rule] of refused) {
    it(`let nothing through to ${url}`, () => {
      assert.equal(production.brokenRule(url), rule);
    });
  }

  const allowed = [
    "https://shop.example/hooks?token=1",
    "https://shop.example:8443/",
    "https://8.8.8.8/",
    "https://[2606:4700::1111]/",
  ];
  for (const url of allowed) {
    it(`let requests through to ${url}`, () => {
      assert.equal(production.brokenRule(url), undefined);
    });
  }

  it("let through what somebody has allowed, and nothing beside it", () => {
    const networks = [ipaddr.parseCIDR("10.20.0.0/16"), ipaddr.parseCIDR("fd00:1::/32")];
    const walls = new Walls({ ports: [443, 8080], plainHttp: true, networks });
    assert.equal(walls.brokenRule("http://10.20.3.4:8080/"), undefined);
    assert.equal(walls.brokenRule("https://[fd00:1::5]/"), undefined);
    for (const address of ["10.21.0.1", "fd00:2::5", "::ffff:10.20.3.4", "127.0.0.1", "nonsense", ""]) {
      assert.equal(walls.allows(address), false, address);
    }
  });

  it("see an address where one stands for a name, and a name where it is one", () => {
    assert.equal(literalOf("[::1]"), "::1");
    assert.equal(literalOf("127.0.0.1"), "127.0.0.1");
    assert.equal(literalOf("shop.example"), undefined);
  });
});
