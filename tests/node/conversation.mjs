// How a client's program talks to the test that drives its browser: one JSON value a line, by turns.
import { webcrypto } from 'node:crypto'
import { createInterface } from 'node:readline'

globalThis.crypto ??= webcrypto // Node.js 18 keeps it back

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

export const hear = async () => JSON.parse((await lines.next()).value)
export const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

// What a client says of an answer that it must not take.
export const refusal = async (attempt) => {
  try {
    await attempt()
    return 'accepted'
  } catch (error) {
    return error.cause?.message ?? error.message
  }
}
