import { services } from "../../../services/services.ts";
import { findTool, tool } from "../../tools/tool.ts";
import { LeftOut } from "../errors.ts";
import { ctr } from "../images.ts";
import { runningImages } from "./change.ts";
import { type Mesh, require, type Stage } from "./mesh.ts";
import { Registry } from "./registry.ts";
import { mustSucceed, secretObjects, type Values } from "./release.ts";
import { Skaffold } from "./skaffold.ts";
import { requireNothingLeft } from "./uninstall-stage.ts";

/** What is shown here needs no second pod. */
const single: Values = Object.fromEntries(
  services.map((name) => [name, { replicas: 1, autoscaling: { enabled: false }, disruption: { enabled: false } }]),
);

/** The other way to install, from nothing to nothing. */
export const skaffoldStage: Stage = {
  name: "skaffold run builds, pushes and installs by digest; skaffold delete leaves nothing",
  async run(mesh) {
    const { cluster, surroundings, values } = mesh;
    if (!cluster.own) throw new LeftOut("the nodes of this cluster do not reach a registry on this machine");
    const program = await findTool("skaffold");
    if (!program) throw new LeftOut("Skaffold is not here, and `npm run tools -- skaffold` takes minutes to build it");
    using registry = await Registry.start(await tool("registry"));
    await cluster.kubectl.apply(secretObjects(await surroundings.provision()));
    await using skaffold = await Skaffold.open(program, cluster.kubectl, [values, single]);
    const start = performance.now();
    await must(skaffold, "run", registry);
    const seconds = Math.round((performance.now() - start) / 1_000);
    const images = await runningImages(mesh);
    const [image = ""] = images;
    const byDigest = image.startsWith(`${registry.host}/ordermesh@sha256:`);
    require(images.length === 1 && byDigest, `the pods run ${images.join(", ")}`);
    const order = await delivered(mesh);
    await must(skaffold, "delete", registry);
    const left = await requireNothingLeft(mesh);
    await ctr(["images", "rm", image]);
    return `${image.replace(registry.host, "")} installed after ${seconds} s, ${order}; ${left}`;
  },
};

/** What a builder says of its failure is on the other stream. */
async function must(skaffold: Skaffold, command: "run" | "delete", { host }: Registry): Promise<void> {
  const { code, stdout, stderr } = await skaffold.run(command, host);
  mustSucceed(`skaffold ${command}`, { code, stdout, stderr: `${stdout}\n${stderr}` });
}

async function delivered({ caller }: Mesh): Promise<string> {
  const { status, seconds } = await caller.placeOrder(120);
  require(status === "ORDER_STATUS_DELIVERED", `an order is ${status}`);
  return `an order delivered after ${seconds.toFixed(1)} s`;
}
