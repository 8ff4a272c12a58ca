// A service in JavaScript through a change of keys: it fetches the set when it is told to, or meets an unknown key.
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { hear, say } from './conversation.mjs'

const { issuer, jwks } = await hear()
const keys = createRemoteJWKSet(new URL(jwks), { cooldownDuration: 0, cacheMaxAge: Infinity })

const verdict = async ({ token, alg, now }) => {
  try {
    await jwtVerify(token, keys, { issuer, algorithms: [alg], currentDate: new Date(now * 1000) })
    return 'good'
  } catch (error) {
    return error.code
  }
}

for (;;) {
  const order = await hear()
  if (order.reload) await keys.reload()
  say(order.reload ? 'reloaded' : await verdict(order))
}
