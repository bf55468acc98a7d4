// The page about going live names what there is, and every setting that a process does not start without.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import type { z } from "zod";
import { eventsConfig, platformConfig } from "#platform/config.ts";
import { configOf } from "../../../charts/service-config.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { booksConfig } from "../../../services/books/src/config.ts";
import { serviceFacts, services } from "../../../services/services.ts";

const path = "docs/going-live.md";
const text = readFileSync(join(root, path), "utf8");
const named = [...text.matchAll(/`([^`\n]+)`/g)].map(([, name = ""]) => name);

type Settings = Readonly<Record<string, z.ZodType>>;
const product = services.filter((service) => !serviceFacts[service].outside);
const ofServices = await Promise.all(product.map(async (service) => (await configOf(service)) as Settings));
const settings: Settings = Object.assign({}, platformConfig, eventsConfig, booksConfig, ...ofServices);

/** What nobody asks of people: ports are the place's, and the books' databases are those of the services. */
const unasked = /^(?:GRPC|HTTP)_PORT$|^[A-Z]+_DATABASE_URL$|^SERVICE_NAME$/;

describe(path, () => {
  it("names variables that a process reads", () => {
    const variables = named.filter((name) => /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/.test(name));
    assert.ok(variables.length > 30);
    assert.deepEqual(
      variables.filter((name) => !Object.hasOwn(settings, name)),
      [],
    );
  });

  it("names values that the chart has", () => {
    const values: unknown = parse(readFileSync(join(root, "charts/ordermesh/values.yaml"), "utf8"));
    const wanted = named.filter((name) => /^(?:global|books|simulators)\.[\w.]+$/.test(name));
    assert.ok(wanted.length > 10);
    const has = (name: string) =>
      name.split(".").reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], values);
    assert.deepEqual(
      wanted.filter((name) => has(name) === undefined),
      [],
    );
  });

  it("leaves out nothing that a process does not start without", () => {
    const required = Object.entries(settings).flatMap(([name, schema]) =>
      schema.safeParse(undefined).success || unasked.test(name) ? [] : [name],
    );
    assert.ok(required.includes("GATEWAY_CONNECTOR_ADDRESS"));
    assert.deepEqual(
      required.filter((name) => !named.includes(name)),
      [],
    );
  });

  it("shows what a process says that has no settings", () => {
    const [, main = "", said] = /^\$ node_modules\/\.bin\/node (\S+)\n((?:.+\n)+)```$/m.exec(text) ?? [];
    const { stderr, status } = spawnSync(process.execPath, [main], {
      cwd: root,
      env: {},
      encoding: "utf8",
      timeout: 60_000,
    });
    assert.deepEqual([stderr, status], [said, 1]);
  });

  it("leads to pages and headings that exist", () => {
    for (const [, target = "", anchor] of text.matchAll(/\]\(([^)#]*)(?:#([^)]+))?\)/g)) {
      const file = join(root, dirname(path), target);
      assert.ok(existsSync(file), target);
      if (anchor === undefined) continue;
      const headings = [...readFileSync(file, "utf8").matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
        heading
          .toLowerCase()
          .replaceAll(/[^\w -]/g, "")
          .replaceAll(" ", "-"),
      );
      assert.ok(headings.includes(anchor), `${target}#${anchor}`);
    }
  });
});
