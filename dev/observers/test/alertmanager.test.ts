import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse, stringify } from "yaml";
import { until } from "#testing/until.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { run } from "../../../deploy/command/run.ts";
import { runbookOf } from "../../../deploy/observability/prometheus/alerts/rule.ts";
import { alerts } from "../../../deploy/observability/prometheus/rules.ts";
import { tool } from "../../tools/tool.ts";
import { alertmanagerProgram } from "../prometheus.ts";
import { Monitoring } from "./monitoring.ts";

const home = join(root, "deploy/observability/prometheus/alertmanager");
const file = join(home, "alertmanager.yaml");
const options = { timeoutMs: 30_000, keepOutput: true };
/** How long Alertmanager may take until it has told somebody. */
const notice = { deadlineMs: 40_000, everyMs: 100 };

describe("the routes", () => {
  it("are ones that Alertmanager takes", async () => {
    const said = await run(await tool("amtool"), ["check-config", file], options);
    assert.match(said, /SUCCESS/);
    assert.match(said, /2 receivers/);
  });

  for (const { alert, severity, labels } of alerts) {
    it(`lead ${alert} to ${severity === "page" ? "on-call" : "tickets"}`, async () => {
      const receiver = severity === "page" ? "on-call" : "tickets";
      const pairs = Object.entries({ alertname: alert, namespace: "shop", severity, ...labels });
      const args = ["config", "routes", "test", `--config.file=${file}`, `--verify.receivers=${receiver}`];
      const said = await run(
        await tool("amtool"),
        [...args, ...pairs.map(([name, value]) => `${name}=${value}`)],
        options,
      );
      // A warning comes from the other stream, before it or after it.
      assert.ok(said.split("\n").includes(receiver), said);
    });
  }

  it("would be seen to lead astray", async () => {
    const args = ["config", "routes", "test", `--config.file=${file}`, "--verify.receivers=tickets", "severity=page"];
    await assert.rejects(run(await tool("amtool"), args, options), /Expected receivers did not match/);
  });

  it("name only alerts that exist, and read every secret from a file", async () => {
    const text = await readFile(file, "utf8");
    const names = alerts.map(({ alert }) => alert);
    const { inhibit_rules } = parse(text) as { inhibit_rules: Record<string, string[]>[] };
    for (const matchers of inhibit_rules.flatMap(({ source_matchers = [], target_matchers = [] }) => [
      ...source_matchers,
      ...target_matchers,
    ])) {
      const [, operator, value = ""] = /^alertname(=~|!?=)"(.+)"$/.exec(matchers) ?? [];
      if (operator === "=~") {
        for (const part of value.split("|"))
          assert.ok(
            names.some((name) => new RegExp(`^(?:${part})$`).test(name)),
            part,
          );
      } else if (operator) assert.ok(names.includes(value), value);
    }
    assert.doesNotMatch(text, /^\s*(?:- )?\w*(?:password|routing_key|service_key|api_url|token):/m);
  });
});

/** What an Alertmanager is told of one alert. */
function firing(name: string, labels: Readonly<Record<string, string>> = {}) {
  const rule = alerts.find(({ alert }) => alert === name);
  assert.ok(rule, name);
  return {
    labels: { alertname: name, namespace: "shop", severity: rule.severity, ...rule.labels, ...labels },
    annotations: { summary: `${name} is so`, description: rule.description, runbook_url: runbookOf(rule) },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

describe("an Alertmanager with these routes", { timeout: 120_000 }, () => {
  const told: { path: string; body: string }[] = [];
  const receiver = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      told.push({ path: request.url ?? "", body });
      response.writeHead(request.url === "/pager" ? 202 : 200).end('{"status":"success"}');
    });
  });
  let secrets: string;
  let monitoring: Monitoring;
  let url: string;

  before(async () => {
    secrets = await mkdtemp(join(tmpdir(), "ordermesh-secrets-"));
    await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
    const base = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
    await writeFile(join(secrets, "pager-key"), "a-key-for-the-pager");
    await writeFile(join(secrets, "chat-url"), `${base}/chat`);
    const text = (await readFile(file, "utf8"))
      .replaceAll("/etc/alertmanager/secrets/ordermesh-receivers", secrets)
      .replaceAll("/etc/alertmanager/config", home);
    const configuration = parse(text) as { global: object; route: object; receivers: Record<string, unknown>[] };
    configuration.global = { ...configuration.global, pagerduty_url: `${base}/pager` };
    // Nobody wants to wait a minute for a ticket here, nor to run a mail server.
    configuration.route = { ...configuration.route, group_wait: "1s" };
    configuration.receivers = configuration.receivers.map(({ email_configs, ...rest }) =>
      email_configs ? { ...rest, webhook_configs: [{ url: `${base}/ticket` }] } : rest,
    );
    monitoring = await Monitoring.open();
    const address = await monitoring.address();
    url = `http://${address}`;
    const place = { folder: join(monitoring.folder, "alertmanager"), address };
    await monitoring.start(
      await alertmanagerProgram(monitoring.common("alertmanager"), place, stringify(configuration)),
    );
  });

  after(async () => {
    await monitoring?.[Symbol.asyncDispose]();
    receiver.close();
    await rm(secrets, { recursive: true, force: true });
  });

  /** Tells it these alerts. */
  async function tell(list: readonly object[]): Promise<void> {
    const body = JSON.stringify(list);
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${url}/api/v2/alerts`, { method: "POST", headers, body });
    assert.equal(answer.status, 200, await answer.text());
  }

  /** Which of all alerts are silenced by others; undefined while it has not looked at some of so many. */
  async function silenced(count: number): Promise<string[] | undefined> {
    const all = (await (await fetch(`${url}/api/v2/alerts`)).json()) as {
      labels: Record<string, string>;
      status: { state: string };
    }[];
    if (all.length < count || all.some(({ status }) => status.state === "unprocessed")) return undefined;
    return all
      .filter(({ status }) => status.state === "suppressed")
      .map(({ labels }) => `${labels.alertname} ${labels.namespace} ${labels.service}`)
      .sort();
  }

  it("silences consequences, and nothing else", async () => {
    const list = [
      firing("TargetDown", { service: "payments", instance: "a" }),
      firing("ServiceFailing", { service: "payments" }),
      firing("RelayStalled", { service: "payments", relay: "resolver" }),
      firing("ServiceFailing", { service: "orders" }),
      firing("ServiceFailing", { service: "payments", namespace: "other" }),
      firing("PaymentsMostlyRefused"),
      firing("PaymentRefusalsUnusual"),
      firing("OrderConfirmationBurnsFast"),
      firing("OrderConfirmationBurnsSlowly"),
      firing("AvailabilityBurnsSlowly"),
    ];
    await tell(list);
    // It is asked again: what silences an alert may be known to it a moment after the alert itself.
    const look = async () => {
      assert.deepEqual(await silenced(list.length), [
        "OrderConfirmationBurnsSlowly shop orders",
        "PaymentRefusalsUnusual shop payments",
        "RelayStalled shop payments",
        "ServiceFailing shop payments",
      ]);
      return true;
    };
    await until(look, "the consequences to be silenced", { deadlineMs: 20_000, everyMs: 100 });
  });

  it("pages with the sentence, the meaning and the runbook, and files the rest as tickets", async () => {
    const paged = () => told.find(({ path, body }) => path === "/pager" && body.includes("OrderConfirmationBurnsFast"));
    const { body } = await until(paged, "the page", notice);
    const message = JSON.parse(body) as {
      routing_key: string;
      payload: { summary: string; custom_details: { what: string } };
    };
    assert.equal(message.routing_key, "a-key-for-the-pager");
    assert.equal(message.payload.summary, "[firing 1] shop orders");
    assert.match(
      message.payload.custom_details.what,
      /OrderConfirmationBurnsFast \(page, firing\): OrderConfirmationBurnsFast is so/,
    );
    assert.match(message.payload.custom_details.what, /Runbook: docs\/runbooks\/order-confirmation-burns-fast\.md/);
    assert.ok(told.some(({ path, body }) => path === "/chat" && body.includes("OrderConfirmationBurnsFast")));
    const tickets = () => told.filter(({ path }) => path === "/ticket").map(({ body }) => body);
    await until(() => tickets().some((text) => text.includes("AvailabilityBurnsSlowly")), "the ticket", notice);
    assert.ok(
      !tickets().some((text) => text.includes("OrderConfirmationBurnsSlowly")),
      "a silenced one is told to nobody",
    );
    assert.ok(!told.some(({ path, body }) => path === "/pager" && body.includes("(ticket,")));
  });
});
