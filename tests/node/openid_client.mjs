// A confidential client on openid-client, as its documentation shows it.
import * as client from 'openid-client'
import { hear, refusal, say } from './conversation.mjs'

const { issuer, id, secret, redirectUri, back } = await hear()
const authentication = client.ClientSecretBasic(secret)
const config = await client.discovery(new URL(issuer), id, undefined, authentication, {
  execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
})
const pkceCodeVerifier = client.randomPKCECodeVerifier()
const expectedState = client.randomState()
const expectedNonce = client.randomNonce()
const there = client.buildAuthorizationUrl(config, {
  redirect_uri: redirectUri,
  scope: 'openid profile email offline',
  state: expectedState,
  nonce: expectedNonce,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: 'S256',
})
say(there.href)

const answer = new URL(await hear())
const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }
const altered = (name, value) => {
  const url = new URL(answer)
  url.searchParams.set(name, value)
  return url
}
const refused = {
  iss: await refusal(() => client.authorizationCodeGrant(config, altered('iss', 'https://elsewhere.example'), checks)),
  state: await refusal(() => client.authorizationCodeGrant(config, altered('state', 'guessed'), checks)),
}
const tokens = await client.authorizationCodeGrant(config, answer, checks)
const claims = tokens.claims()
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
const out = client.buildEndSessionUrl(config, {
  id_token_hint: tokens.id_token,
  post_logout_redirect_uri: back,
  state: 'signed-out',
})
say({ refused, claims, userinfo, refreshed: refreshed.claims(), out: out.href })
process.exit()
