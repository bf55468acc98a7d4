/** The folders of one build. */
export interface Folders {
  /** For everything that is thrown away afterwards. */
  readonly workshop: string;
  /** What becomes the tool's home; must hold a program with the tool's name in the end. */
  readonly result: string;
  /** Where `result` will be in the end, for programs that must know their own place. */
  readonly home: string;
}

/** One way to have a tool. */
export interface Recipe {
  readonly says: string;
  readonly usually: string;
  /** What this way lacks on this machine, as a part of a sentence; undefined when it can be tried. */
  missing(): Promise<string | undefined>;
  run(folders: Folders): Promise<void>;
}
