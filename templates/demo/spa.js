// A single-page application that signs its visitors in with authsrv: the authorization code flow with PKCE
// (RFC 9700 section 2.1.1), without a library. A public client, so there is no secret in here; tokens stay in memory.

const issuer = location.origin // yours has an address of its own
const client = { id: 'spa', page: `${location.origin}/demo/spa`, scope: 'openid profile email address phone' }

class SignInFailed extends Error {}

const element = (id) => document.getElementById(id)
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
const secret = () => base64url(crypto.getRandomValues(new Uint8Array(32)))

const json = async (url, options) => {
  const answer = await fetch(url, options)
  const found = await answer.json()
  if (!answer.ok) throw new SignInFailed(found.error_description ?? `the login server answers ${answer.status}`)
  return found
}

const discover = async () => {
  const metadata = await json(`${issuer}/.well-known/openid-configuration`)
  if (metadata.issuer !== issuer) throw new SignInFailed('the metadata is another login server\'s')
  return metadata
}

// RFC 7636 section 4.2
const challengeOf = async (verifier) =>
  base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))))

const begin = async () => {
  const { authorization_endpoint } = await discover()
  const attempt = { state: secret(), nonce: secret(), verifier: secret() }
  // The storage of this one tab: several tabs sign in side by side, and no other browser can finish what began here.
  sessionStorage.setItem(`sign-in ${attempt.state}`, JSON.stringify(attempt))
  const parameters = new URLSearchParams({
    response_type: 'code',
    client_id: client.id,
    redirect_uri: client.page,
    scope: client.scope,
    state: attempt.state,
    nonce: attempt.nonce,
    code_challenge: await challengeOf(attempt.verifier),
    code_challenge_method: 'S256',
  })
  location.assign(`${authorization_endpoint}?${parameters}`)
}

// Each attempt ends with the first answer that names its state.
const take = (state) => {
  const name = `sign-in ${state}`
  const kept = sessionStorage.getItem(name)
  sessionStorage.removeItem(name)
  if (kept === null) throw new SignInFailed('this sign-in was not begun in this tab, or is over')
  return JSON.parse(kept)
}

const finish = async (answer) => {
  const attempt = take(answer.get('state'))
  if (answer.get('iss') !== issuer) throw new SignInFailed('the answer comes from another login server') // RFC 9207
  if (answer.has('error')) throw new SignInFailed(answer.get('error_description') ?? answer.get('error'))
  const metadata = await discover()
  const tokens = await json(metadata.token_endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: client.id,
      redirect_uri: client.page,
      code: answer.get('code'),
      code_verifier: attempt.verifier,
    }),
  })
  const claims = checked(tokens.id_token, attempt.nonce)
  const headers = { Authorization: `Bearer ${tokens.access_token}` }
  const player = await json(metadata.userinfo_endpoint, { headers })
  if (player.sub !== claims.sub) throw new SignInFailed('UserInfo tells of another player')
  return { player, metadata, idToken: tokens.id_token }
}

// OpenID Connect Core section 3.1.3.7. The id_token came straight from the token endpoint, so rule 6 lets TLS stand for its
// signature; whoever gets one by any other way must check that, too.
const checked = (idToken, nonce) => {
  const payload = idToken.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')
  const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (one) => one.charCodeAt(0))))
  const sound = claims.iss === issuer && claims.aud === client.id && claims.exp > Date.now() / 1000
  if (!sound || claims.nonce !== nonce) throw new SignInFailed('the id_token was not made for this sign-in')
  return claims
}

const showPlayer = ({ player, metadata, idToken }) => {
  element('name').textContent = player.name ?? 'player'
  element('userinfo').textContent = JSON.stringify(player, null, 2)
  element('signed-out').hidden = true
  element('signed-in').hidden = false
  element('sign-out').addEventListener('click', () => {
    const parameters = new URLSearchParams({ id_token_hint: idToken, post_logout_redirect_uri: client.page })
    location.assign(`${metadata.end_session_endpoint}?${parameters}`)
  })
}

const showProblem = (error) => {
  element('problem').textContent = `You are not signed in: ${error.message}`
  element('problem').hidden = false
}

element('sign-in').addEventListener('click', () => begin().catch(showProblem))
const answer = new URLSearchParams(location.search)
history.replaceState(null, '', location.pathname) // a code has no place in the address or in the history
if (answer.has('code') || answer.has('error')) finish(answer).then(showPlayer, showProblem)
