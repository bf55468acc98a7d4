import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { render, valuesOf } from "../../../charts/test/charts.ts";
import { podsOf } from "../../../charts/test/pods.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { services } from "../../../services/services.ts";
import { portsAt } from "../../stack/layout.ts";
import { type Call, executeTiltfile, resourcesOf } from "./tilt.ts";

let calls: Call[];
before(async () => {
  calls = await executeTiltfile("kind-ordermesh");
});

function callsOf(name: string): Call[] {
  return calls.filter((call) => call.name === name);
}

/** The name that a resource has in Tilt. */
function shownName({ args, kwargs }: Call): string {
  return String(kwargs.new_name ?? args[0]);
}

describe("the Tiltfile", () => {
  for (const context of ["production", "gke_shop_europe-west1_main", "kindergarten", "admin@local.example.com"]) {
    it(`refuses the context ${context}`, async () => {
      await assert.rejects(executeTiltfile(context), new RegExp(`The context "${context}" is no local cluster`));
    });
  }

  for (const context of ["minikube", "k3d-shop", "docker-desktop", "local"]) {
    it(`takes the context ${context}`, async () => {
      const [allowed] = (await executeTiltfile(context)).filter(({ name }) => name === "allow_k8s_contexts");
      assert.deepEqual(allowed?.args, [context]);
    });
  }

  it("builds the product's image with sources that are synced and a Node that notices", () => {
    const [build] = callsOf("docker_build");
    const contents = String(build?.kwargs.dockerfile_contents);
    assert.match(contents, /^FROM \$\{BASE\}$/m);
    assert.match(contents, /^COPY --chown=1000:1000 services services\nENTRYPOINT \[.*"--watch-path=\/app\/services"/m);
    const update = build?.kwargs.live_update as Call[];
    assert.deepEqual(
      update.map(({ name }) => name),
      ["fall_back_on", "sync"],
    );
    assert.deepEqual(update[1]?.args, ["services", "/app/services"]);
    for (const path of (build?.kwargs.only ?? []) as string[]) assert.ok(existsSync(join(root, path)), path);
  });

  it("installs the charts with the local values and the image that it builds", () => {
    const [helm] = callsOf("helm");
    assert.deepEqual(helm?.kwargs.values, ["deploy/values/local.yaml"]);
    const [build] = callsOf("docker_build");
    const installed = callsOf("k8s_yaml").flatMap(({ args }) => (Array.isArray(args[0]) ? args[0] : []));
    const images = installed.flatMap(({ spec }) => spec?.template?.spec?.containers?.[0]?.image ?? []);
    assert.ok(images.length >= services.length);
    for (const image of images) assert.equal(String(image).split(":")[0], build?.args[0]);
    assert.ok(!installed.some(({ kind }) => kind === "Pod"), "the pod of `helm test`");
  });

  it("gives the charts only values that they take, and pods whose sources can be replaced", async () => {
    const [helm] = callsOf("helm");
    const settings = (helm?.kwargs.set ?? []) as string[];
    const args = ["-f", valuesOf("local"), ...settings.flatMap((setting) => ["--set", setting])];
    const pods = podsOf(await render("ordermesh", ...args)).filter(({ kind }) => kind === "Deployment");
    assert.equal(pods.length, services.length);
    for (const { spec } of pods) assert.equal(spec.containers[0]?.securityContext.readOnlyRootFilesystem, false);
  });

  it("knows every resource that it names, and names every one that has pods", async () => {
    const streams = callsOf("k8s_yaml").map(({ args }) => args[0]);
    const given = streams.flat() as (string | { kind: string; metadata: { name: string } })[];
    const resources: { kind: string; metadata: { name: string } }[] = [];
    for (const item of given) resources.push(...(typeof item === "string" ? await resourcesOf(item) : [item]));
    const withPods = resources.filter(({ kind }) => /^(Deployment|StatefulSet|DaemonSet|Job)$/.test(kind));
    assert.deepEqual(
      callsOf("k8s_resource")
        .map(({ args }) => args[0])
        .sort(),
      withPods.map(({ metadata }) => metadata.name).sort(),
    );
  });

  it("waits only for what there is", () => {
    const names = [...callsOf("k8s_resource"), ...callsOf("local_resource")].map(shownName);
    for (const { kwargs } of [...callsOf("k8s_resource"), ...callsOf("local_resource")]) {
      for (const name of (kwargs.resource_deps ?? []) as string[]) assert.ok(names.includes(name), name);
    }
  });

  it("forwards each service's ports as the documentation says, none twice", () => {
    const { grpc, http } = portsAt(0);
    const forwards = callsOf("port_forward").map(({ args }) => args[0]);
    assert.equal(new Set(forwards).size, forwards.length);
    for (const service of services) assert.ok([grpc[service], http[service]].every((port) => forwards.includes(port)));
    const links = callsOf("link").map(({ args }) => String(args[0]));
    for (const service of services) assert.ok(links.includes(`http://localhost:${http[service]}/metrics`));
  });

  it("groups everything, and has its buttons pressed by hand only", () => {
    const resources = [...callsOf("k8s_resource"), ...callsOf("local_resource")];
    const groups = new Set(resources.flatMap(({ kwargs }) => kwargs.labels as string[]));
    assert.deepEqual([...groups].sort(), ["buttons", "mesh", "migrations", "needs", "observe"]);
    const buttons = callsOf("local_resource").filter(({ kwargs }) => String(kwargs.labels) === "buttons");
    assert.deepEqual(buttons.map(shownName), ["place an order", "run migrations", "reset"]);
    for (const { kwargs } of buttons) assert.deepEqual([kwargs.auto_init, kwargs.trigger_mode], [false, "manual"]);
    const [order] = buttons;
    const [script] = /[\w/-]+\.ts/.exec(String(order?.kwargs.cmd)) ?? [];
    assert.ok(existsSync(join(root, String(script))));
  });
});
