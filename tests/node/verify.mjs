// What a service in JavaScript does with our tokens: discovery, the key set, and a library that knows nothing of us.
import { webcrypto } from 'node:crypto'
import { createRemoteJWKSet, jwtVerify } from 'jose'

globalThis.crypto ??= webcrypto // Node.js 18 keeps it back

const read = async (stream) => {
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}

const refusal = async (check) => {
  try {
    await check()
    return 'accepted'
  } catch (error) {
    return error.code
  }
}

const { issuer, tokens } = await read(process.stdin)
const answer = await fetch(`${issuer}/.well-known/openid-configuration`)
const metadata = await answer.json()
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri))
const accessRules = { issuer, audience: issuer, typ: 'at+jwt', algorithms: ['ES256'], requiredClaims: ['sub', 'exp'] }
const idRules = { issuer, audience: 'launcher', typ: 'JWT', algorithms: ['RS256'], requiredClaims: ['sub', 'exp'] }

const access = await jwtVerify(tokens.access_token, keys, accessRules)
const id = await jwtVerify(tokens.id_token, keys, idRules)
const refused = [
  await refusal(() => jwtVerify(tokens.forged, keys, accessRules)),
  await refusal(() => jwtVerify(tokens.access_token, keys, { ...accessRules, audience: 'https://elsewhere.example' })),
]
process.stdout.write(JSON.stringify({ access: access.payload, id: id.payload, refused }))
