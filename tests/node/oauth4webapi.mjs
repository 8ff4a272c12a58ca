// A public client on oauth4webapi, which takes nothing but what the RFCs allow.
import * as oauth from 'oauth4webapi'
import { hear, refusal, say } from './conversation.mjs'

const { issuer, id, redirectUri, back } = await hear()
const http = { [oauth.allowInsecureRequests]: true }
const server = await oauth
  .discoveryRequest(new URL(issuer), http)
  .then((response) => oauth.processDiscoveryResponse(new URL(issuer), response))
const client = { client_id: id }
const nobody = oauth.None()
const verifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()
const nonce = oauth.generateRandomNonce()
const there = new URL(server.authorization_endpoint)
there.search = new URLSearchParams({
  client_id: id,
  redirect_uri: redirectUri,
  response_type: 'code',
  scope: 'openid profile email offline',
  state,
  nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
})
say(there.href)

const answer = new URL(await hear())
const altered = (name, value) => {
  const url = new URL(answer)
  url.searchParams.set(name, value)
  return url
}
const refused = {
  iss: await refusal(() => oauth.validateAuthResponse(server, client, altered('iss', 'https://elsewhere.example'), state)),
  state: await refusal(() => oauth.validateAuthResponse(server, client, altered('state', 'guessed'), state)),
}
const parameters = oauth.validateAuthResponse(server, client, answer, state)
const response = await oauth.authorizationCodeGrantRequest(server, client, nobody, parameters, redirectUri, verifier, http)
const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, {
  expectedNonce: nonce,
  requireIdToken: true,
})
await oauth.validateApplicationLevelSignature(server, response, http)
const claims = oauth.getValidatedIdTokenClaims(tokens)
const userinfo = await oauth
  .userInfoRequest(server, client, tokens.access_token, http)
  .then((told) => oauth.processUserInfoResponse(server, client, claims.sub, told))
const refreshed = await oauth
  .refreshTokenGrantRequest(server, client, nobody, tokens.refresh_token, http)
  .then((told) => oauth.processRefreshTokenResponse(server, client, told))
const out = new URL(server.end_session_endpoint)
out.search = new URLSearchParams({ id_token_hint: tokens.id_token, post_logout_redirect_uri: back, state: 'signed-out' })
say({ refused, claims, userinfo, refreshed: oauth.getValidatedIdTokenClaims(refreshed), out: out.href })
process.exit()
