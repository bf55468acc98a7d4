// A field is added to a copy of this repository and written nowhere else: the compiler names every place where it is missing.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { run } from "../../../deploy/command/run.ts";
import { copyRepository } from "../../tools/copy.ts";

const timeoutMs = 180_000;
const repository = await copyRepository();
after(() => repository[Symbol.asyncDispose]());

/** Writes a line behind another one, or behind the last one of a message. */
async function insert(file: string, behind: string, line: string): Promise<void> {
  const path = join(repository.folder, file);
  const text = await readFile(path, "utf8");
  const start = text.indexOf(behind);
  assert.notEqual(start, -1, `${file} has no longer: ${behind}`);
  const end = behind.endsWith("{") ? text.indexOf("\n}", start) : start + behind.length;
  await writeFile(path, `${text.slice(0, end)}\n${line}${text.slice(end)}`);
}

/** The files that do not compile, tests left out. */
async function broken(): Promise<string[]> {
  const files = (await repository.compilerErrors()).map((line) => line.slice(0, line.indexOf("(")));
  return [...new Set(files)].filter((file) => !file.includes("/test/")).sort();
}

describe("a field that is forgotten", () => {
  it("is missing wherever a message of the contract is made that has it", { timeout: timeoutMs }, async () => {
    const field = "  // What the card in the parcel says.\n  string gift_message = 99;";
    const messages = [
      ["orders/v1/order.proto", "Order"],
      ["sagas/v1/saga.proto", "EpisodeCheckout"],
      ["shipping/v1/shipping_service.proto", "CreateShipmentRequest"],
      ["shipping/v1/shipment.proto", "Shipment"],
    ] as const;
    for (const [file, message] of messages) await insert(`proto/shop/${file}`, `message ${message} {`, field);
    const generate = ["dev/commands/check.ts", "--generate"];
    await run(process.execPath, generate, { cwd: repository.folder, timeoutMs, keepOutput: true });
    assert.deepEqual(await broken(), [
      "services/orders/src/api/order-proto.ts",
      "services/orders/src/episode/episode-proto.ts",
      "services/shipping/src/api/shipment-proto.ts",
      "services/worker/src/activities/shipping.ts",
    ]);
  });

  it("is missing wherever a row is written, read or mapped that has it", { timeout: timeoutMs }, async () => {
    const field = "  readonly giftMessage: string;";
    await insert("services/orders/src/order/order.ts", "  readonly cardToken: string;", field);
    await insert("services/shipping/src/shipment/shipment.ts", "  readonly sagaId: string;", field);
    await insert(
      "services/shipping/src/shipment/shipment.entity.ts",
      "    sagaId: p.text(),",
      "    giftMessage: p.text(),",
    );
    await insert("services/shipping/src/packing/warehouse.ts", "  readonly address: Address;", field);
    assert.deepEqual(await broken(), [
      "services/orders/src/api/order-proto.ts",
      "services/orders/src/episode/episode-proto.ts",
      "services/orders/src/order/order-intake.ts",
      "services/orders/src/order/order-row.ts",
      "services/orders/src/order/order.repository.ts",
      "services/orders/src/returns/return-exchanges.ts",
      "services/shipping/src/api/shipment-proto.ts",
      "services/shipping/src/packing/packing.ts",
      "services/shipping/src/shipment/shipment-row.ts",
      "services/worker/src/activities/shipping.ts",
    ]);
  });
});
