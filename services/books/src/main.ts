// Compares the books once and ends: a program of the image that somebody starts by the clock. It answers no calls and so has
// no ports, no Protobuf package and no entry in services.json, which is about those that are called.
import { startBooks } from "./books.ts";

await startBooks();
