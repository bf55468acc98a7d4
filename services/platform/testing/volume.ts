import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A folder with one file, as Kubernetes mounts a secret or a ConfigMap: the file is a link, and a change turns another link to a new folder. */
export class Volume {
  readonly file: string;
  readonly #folder: string;
  readonly #name: string;
  #generation = 0;

  constructor(folder: string, name: string) {
    mkdirSync(folder);
    this.#folder = folder;
    this.#name = name;
    this.file = join(folder, name);
  }

  write(text: string): void {
    const generation = `..${this.#generation++}`;
    mkdirSync(join(this.#folder, generation));
    writeFileSync(join(this.#folder, generation, this.#name), text);
    symlinkSync(generation, join(this.#folder, "..data_tmp"));
    renameSync(join(this.#folder, "..data_tmp"), join(this.#folder, "..data"));
    if (this.#generation === 1) symlinkSync(`..data/${this.#name}`, this.file);
  }
}
