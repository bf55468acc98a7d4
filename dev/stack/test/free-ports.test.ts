import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { services } from "../../../services/services.ts";
import { freePorts } from "../free-ports.ts";
import { allPorts, connectorPorts, portsFrom, replicaPorts, replicasOf, worldPort } from "../layout.ts";
import { controlPort, linksOf } from "../links.ts";
import { isFree } from "../ports.ts";

describe("free ports", () => {
  test("are never the same for stacks that look at the same time, although nothing listens yet", async () => {
    const stacks = await Promise.all(Array.from({ length: 60 }, () => freePorts()));
    const ports = stacks.flatMap(allPorts).map(({ port }) => port);
    assert.equal(new Set(ports).size, ports.length);
    assert.ok(Math.max(...ports) < 30_000);
    const free = await Promise.all(ports.map(isFree));
    assert.equal(free.indexOf(false), -1);
  });

  test("are enough for two replicas of everything, a connector with its world, and proxies on all their ways", () => {
    const ports = portsFrom(10_000);
    const seconds = services.map((service) => replicaPorts(`${service}-2`, ports));
    const connector = replicasOf("stripe", 2).map((replica) => connectorPorts(replica, ports));
    const listening = [
      ...allPorts(ports).map(({ port }) => port),
      ...[...seconds, ...connector].flatMap(({ grpc, http }) => [grpc, http]),
      ...linksOf({ ports, replicas: 2, gateway: "stripe" }).map(({ port }) => port),
      controlPort(ports, 2),
      worldPort(ports),
    ];
    assert.equal(new Set(listening).size, listening.length);
  });
});
