// What of the contract no linter of protos can judge, because it concerns options of ours.
import { globSync } from "node:fs";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { accessFaults } from "#platform/authorization/access-rule.ts";
import { services } from "../../services/services.ts";

function isService(value: unknown): value is DescService {
  return (value as Partial<DescService> | undefined)?.kind === "service";
}

/** All services of the contract, those that only tests serve among them. */
export async function contractServices(root: string): Promise<DescService[]> {
  const gen = join(root, "services/platform/src/gen");
  const paths = globSync("{shop,ordermesh}/*/v1/*_service_pb.js", { cwd: gen });
  const modules = paths.toSorted().map((path): Promise<object> => import(join(gen, path)));
  return (await Promise.all(modules)).flatMap((module) => Object.values(module)).filter(isService);
}

/** What is wrong with who may call what, one sentence a method. */
export async function contractFaults(root: string): Promise<string[]> {
  return accessFaults(await contractServices(root), services);
}
