// Asks the snippet of the documentation about each token that comes in a line.
import { createInterface } from "node:readline";
import { Unavailable, playerOf } from "./tokens.mjs";

for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(`player ${await playerOf(line.trim())}`);
  } catch (error) {
    console.log(error instanceof Unavailable ? "unavailable" : "refused");
  }
}
