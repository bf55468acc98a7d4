// What of the contract no linter of protos can judge, because it concerns options of ours.
import { globSync } from "node:fs";
import { join } from "node:path";
import type { DescMessage, DescService } from "@bufbuild/protobuf";
import { usedTypes } from "@bufbuild/protobuf/reflect";
import { accessFaults } from "#platform/authorization/access-rule.ts";
import { services } from "../../services/services.ts";
import { personalFaults } from "./personal.ts";

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

/** All messages that calls send and answer, and those that stand in them. */
export function messagesOf(services: readonly DescService[]): DescMessage[] {
  const sent = services.flatMap(({ methods }) => methods.flatMap(({ input, output }) => [input, output]));
  const used = sent.flatMap((message) => [message, ...usedTypes(message)]);
  return [...new Set(used.filter((type) => type.kind === "message"))];
}

/** What is wrong with who may call what, one sentence a method, and with what is said of persons, one sentence a field. */
export async function contractFaults(root: string): Promise<string[]> {
  const all = await contractServices(root);
  const served = all.filter(({ typeName }) => !typeName.startsWith("ordermesh.testing."));
  return [...accessFaults(all, services), ...messagesOf(served).flatMap(personalFaults)];
}
