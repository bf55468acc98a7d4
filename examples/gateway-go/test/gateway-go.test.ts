// A connector in another language keeps every promise, also when it is killed, and a shop sells by it.
import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { runConformance } from "../../../dev/connectors/conformance.ts";
import { Trial, type TrialOptions } from "../../../dev/connectors/trial.ts";
import { freePorts } from "../../../dev/stack/free-ports.ts";
import { sparePort } from "../../../dev/stack/layout.ts";
import { GoGateway } from "../src/go-gateway.ts";

const clients = new Clients({ defaultTimeoutMs: 5_000, maxMessageBytes: 4_000_000 });
let folder: string;
let journal: string;
let port: number;
let gateway: GoGateway;
let trial: TrialOptions;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ordermesh-gateway-"));
  journal = join(folder, "gateway.journal");
  port = sparePort(await freePorts(), 0);
  gateway = await GoGateway.start({ port, journal });
  trial = {
    connector: clients.client(GatewayConnectorService, gateway.address),
    cards: { approved: "tok_approve", declined: "tok_decline" },
    currency: "EUR",
    amount: 1_000n,
    patienceMs: 20_000,
  };
});

after(async () => {
  clients.close();
  await gateway?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const kept = async () => new Trial(trial, await trial.connector.getCapabilities({}));

describe("the connector in Go", () => {
  it("keeps every promise", async () => {
    const results = await runConformance(trial);
    assert.deepEqual(
      results.filter(({ broken, without }) => broken ?? without),
      [],
    );
  });

  for (let ms = 0; ms < 6; ms += 1) {
    it(`has had each effect once when it is killed ${ms} ms after it was asked`, async () => {
      const gate = await kept();
      const holds = await Promise.all(Array.from({ length: 8 }, () => gate.held()));
      const captures = holds.map((hold) => gate.change("capture", hold, 4));
      const asked = Promise.all(captures.map((capture) => gate.lose(capture)));
      await pause(ms);
      await gateway.kill();
      await gateway.run();
      await asked;
      for (const capture of captures) await gate.expect(capture, "approved", "a capture that was cut off");
      for (const hold of holds) {
        await gate.expect(gate.change("capture", hold, 6), "approved", "what one capture has left");
        await gate.expect(gate.change("capture", hold, 1), "declined", "more than is left");
      }
    });
  }

  it("starts with a journal whose last line was not written to its end, and answers what was before it", async () => {
    const { operation, reference } = await (await kept()).held();
    await gateway.kill();
    await appendFile(journal, '{"operation":{"key":"01');
    await gateway.run();
    const { outcomes } = await trial.connector.findOperations({ operations: [operation] });
    assert.equal(outcomes[0]?.result.case === "approved" && outcomes[0].result.value.reference, reference);
    assert.match(await readFile(journal, "utf8"), /\}\n$/);
  });

  it("does not share its journal, and does not start with one that says what it cannot read", async () => {
    const other = sparePort(await freePorts(), 0);
    await assert.rejects(GoGateway.start({ port: other, journal }), /the gateway ended with code 1/);
    const broken = join(folder, "broken.journal");
    await appendFile(broken, "what\n");
    await assert.rejects(GoGateway.start({ port: other, journal: broken }), /the gateway ended with code 1/);
  });

  it("refuses what is no operation, with what is wrong with it", async () => {
    const nothing = (await kept()).authorization("approved", { currency: "EUR", amount: 0n });
    await assert.rejects(
      trial.connector.executeOperations({ operations: [nothing] }),
      /lacks its key, its kind, its currency or an amount above 0/,
    );
    await assert.rejects(trial.connector.executeOperations({ operations: [] }), /there are 0 operations, not 1 to 256/);
    await assert.rejects(trial.connector.listOperations({ limit: 1_001 }), /limit is 1001, not 0 to 1000/);
  });
});
