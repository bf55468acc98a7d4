import { serviceFacts } from "../../../services/services.ts";
import { change, imagesOf, withoutMigrations } from "./change.ts";
import { require, requireBalance, type Stage } from "./mesh.ts";
import { callerLabel, releaseName, type Values } from "./release.ts";
import { underLoad } from "./under-load.ts";
import { Visitor } from "./visitor.ts";

const list = "shop.inventory.v1.InventoryService/ListStockLevels";

/** A mesh that asks nobody learns to, as docs/identity.md says it, while orders come. */
export const credentialsStage: Stage = {
  name: "from asking nobody who calls to asking everybody, in two upgrades under load",
  async run(mesh) {
    const { running } = await imagesOf(mesh);
    const go = (mode: string) => change(mesh, running, withoutMigrations, modeOf(mode));
    await go("disabled");
    const plan = { name: "nobody", image: mesh.image, labels: callerLabel };
    await using nobody = await Visitor.start(mesh.cluster.kubectl, plan);
    const before = await status(nobody);
    require(before.startsWith("200"), `a caller without a credential got ${before} while nobody is asked`);
    const { seen, orders } = await underLoad(mesh, "load-credentials", async () => {
      const shown = await go("permissive");
      const meanwhile = await status(nobody);
      require(meanwhile.startsWith("200"), `a caller without a credential got ${meanwhile} on the way`);
      const asked = await go("strict");
      const after = await status(nobody);
      require(after === "401 CREDENTIAL_MISSING", `a caller without a credential got ${after} afterwards`);
      return `credentials shown after ${shown} s, and asked for after ${asked} s; without one: served twice, then ${after}`;
    });
    return `${seen}; ${orders}; ${await requireBalance(mesh)}`;
  },
};

function modeOf(mode: string): Values {
  return { global: { credentials: { mode } } };
}

/** How a call without a credential ends. */
async function status(nobody: Visitor): Promise<string> {
  const [answer] = await nobody.call([`${releaseName}-inventory:${serviceFacts.inventory.http}`], list, {}, undefined);
  return `${answer?.status} ${answer?.reason}`.trim();
}
