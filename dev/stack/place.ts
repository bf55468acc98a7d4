import { chmodSync, existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../../deploy/command/checkout.ts";
import { services } from "../../services/services.ts";
import { StackError } from "../errors.ts";
import type { Component } from "./layout.ts";

/** Where a stack keeps its data. */
export interface Place {
  readonly dataDirectory: string;
  /** Whether it goes with the stack. */
  readonly temporary: boolean;
}

/**
 * Makes the folder, or a temporary one when none is given. PostgreSQL may have to run as another user, which must be able to
 * enter it.
 */
export function makePlace(dataDirectory: string | undefined): Place {
  const folder = dataDirectory ?? mkdtempSync(join(tmpdir(), "ordermesh-stack-"));
  mkdirSync(folder, { recursive: true });
  if (dataDirectory === undefined) chmodSync(folder, 0o711);
  return { dataDirectory: folder, temporary: dataDirectory === undefined };
}

/** @throws StackError when this checkout lacks a service that is wanted */
export function requireSources(wanted: readonly Component[]): void {
  const missing = services.filter(
    (name) => wanted.includes(name) && !existsSync(join(root, "services", name, "src/main.ts")),
  );
  if (missing.length > 0)
    throw new StackError(`This checkout has no services/${missing.join(", services/")}/src/main.ts.`);
}
