// Search attributes of a namespace, by a worker that may add them, and by one that may not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Registrar, registerSearchAttributes } from "../../src/temporal/connection.ts";

const config = { TEMPORAL_NAMESPACE: "shop", TEMPORAL_TIMEOUT_MS: 1_000 };
const ours = ["CustomerIds", "OrderIds", "ParkedOrderIds"];
const [invalidArgument, deadlineExceeded, notFound, alreadyExists, permissionDenied, unimplemented, unavailable] = [
  3, 4, 5, 6, 7, 12, 14,
];

interface World {
  /** What the namespace has. */
  readonly known: readonly string[];
  /** What asking an operator's questions fails with. */
  readonly list?: number | (() => number | undefined);
  readonly add?: number;
  /** What looking for workflows fails with. */
  readonly count?: number;
}

function failing(code: number | undefined): void {
  if (code !== undefined) throw Object.assign(new Error(`status ${code}`), { code });
}

/** What was added. */
async function register({ known, list, add, count }: World): Promise<string[]> {
  const added: string[] = [];
  const found = Object.fromEntries(known.map((name) => [name, 7]));
  const registrar = {
    withDeadline: <T>(_deadline: number | Date, work: () => Promise<T>) => work(),
    operatorService: {
      async listSearchAttributes() {
        failing(typeof list === "function" ? list() : list);
        return { customAttributes: found };
      },
      async addSearchAttributes({ searchAttributes }: { searchAttributes: object }) {
        failing(add);
        added.push(...Object.keys(searchAttributes));
      },
    },
    workflowService: {
      async countWorkflowExecutions({ query }: { query: string }) {
        failing(count ?? (known.includes(query.split(" ")[0] ?? "") ? undefined : invalidArgument));
      },
    },
  };
  await registerSearchAttributes(registrar as unknown as Registrar, config);
  return added.sort();
}

test("adds what is missing, and takes it when another worker was faster", async () => {
  assert.deepEqual(await register({ known: [] }), ours);
  assert.deepEqual(await register({ known: ["OrderIds"] }), ["CustomerIds", "ParkedOrderIds"]);
  assert.deepEqual(await register({ known: ours, add: permissionDenied }), []);
  assert.deepEqual(await register({ known: [], add: alreadyExists }), []);
});

for (const refusal of [permissionDenied, unimplemented]) {
  test(`needs no rights of an operator where everything is there (status ${refusal})`, async () => {
    assert.deepEqual(await register({ known: ours, list: refusal, add: refusal }), []);
  });

  test(`says which commands have to be run where something is missing (status ${refusal})`, async () => {
    const world = { known: ["CustomerIds", "OrderIds"], list: refusal, add: refusal };
    await assert.rejects(register(world), {
      name: "StartError",
      message:
        "the namespace shop lacks search attributes that this worker may not add; whoever may runs: " +
        "temporal operator search-attribute create --namespace shop --name ParkedOrderIds --type KeywordList",
    });
  });
}

test("says what it has to be where it may not even read", async () => {
  const world = { known: ours, list: permissionDenied, count: permissionDenied };
  await assert.rejects(register(world), {
    name: "StartError",
    message: "Temporal refuses to let this worker read the namespace shop; it has to be a writer of it",
  });
});

test("says that there is no such namespace", async () => {
  await assert.rejects(register({ known: [], list: notFound }), {
    name: "StartError",
    message: "Temporal has no namespace shop (TEMPORAL_NAMESPACE)",
  });
});

test("waits for a server that has not got so far, and says in one sentence that it did not", async () => {
  let looks = 0;
  const slow = { known: ours, list: () => (++looks < 3 ? unavailable : undefined) };
  assert.deepEqual(await register(slow), []);
  assert.equal(looks, 3);
  for (const code of [deadlineExceeded, unavailable]) {
    await assert.rejects(register({ known: ours, list: () => code }), {
      name: "StartError",
      message: `Temporal does not answer within 1000 ms (TEMPORAL_TIMEOUT_MS): status ${code}`,
    });
  }
});

test("hides no other failure", async () => {
  await assert.rejects(register({ known: [], list: 13 }), { code: 13 });
  await assert.rejects(register({ known: [], add: 13 }), { code: 13 });
});
