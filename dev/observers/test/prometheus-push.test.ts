import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { pushVerification } from "../../../services/books/src/report/push.ts";
import { freePort } from "../elk.ts";
import { pushgatewayProgram } from "../prometheus.ts";
import { Monitoring } from "./monitoring.ts";

const rests = [{ status: "preparing", orders: 1, longestSeconds: 90 }];
const result = { findings: 2, checks: 9, underway: 1, rests, outside: 0, seconds: 0.5 };

describe("the result of a verification", () => {
  it("takes the place of the one before", { timeout: 60_000 }, async () => {
    await using monitoring = await Monitoring.open();
    const address = await monitoring.address();
    await monitoring.start(await pushgatewayProgram(monitoring.common("pushgateway"), address));
    await pushVerification(`http://${address}`, result);
    await pushVerification(`http://${address}`, {
      ...result,
      findings: 0,
      rests: [{ status: "shipped", orders: 1, longestSeconds: 5 }],
    });
    const text = await (await fetch(`http://${address}/metrics`)).text();
    assert.match(text, /^ordermesh_verify_findings\{.*job="verify".*\} 0$/m);
    assert.match(text, /^ordermesh_verify_orders_resting\{.*status="shipped".*\} 1$/m);
    assert.match(text, /^ordermesh_verify_orders_resting_seconds\{.*status="shipped".*\} 5$/m);
    assert.doesNotMatch(text, /status="preparing"/);
    assert.equal(text.match(/^ordermesh_verify_findings\{/gm)?.length, 1);
    assert.match(text, /^ordermesh_verify_last_run_timestamp_seconds\{.*\} 1\.\d+e\+09$/m);
  });

  it("is given up soon when nobody takes it", { timeout: 20_000 }, async () => {
    await assert.rejects(pushVerification(`http://127.0.0.1:${await freePort()}`, result), /ECONNREFUSED/);
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    try {
      const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
      await assert.rejects(pushVerification(url, result), /timed out/);
    } finally {
      silent.closeAllConnections();
      silent.close();
    }
  });
});
