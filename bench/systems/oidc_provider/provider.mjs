// The provider as both the server and the seeding need it: clients, keys, lifetimes and the features that are asked for.
//
// Access tokens are JWTs for one API, signed by ES256 (RS256 for one of the two backends); refresh tokens rotate.

import { readFileSync } from 'node:fs';

import Provider from 'oidc-provider';

import { adapterOn } from './adapter.mjs';

export const SCOPE = 'openid profile offline_access';
export const API = 'https://api.studio.example';
const DAY = 86400;

const game = (site, alg) => ({
  client_id: site.games[alg],
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: [site.redirect_uri],
  id_token_signed_response_alg: alg,
  require_auth_time: true,
});

const backend = (site, alg) => ({
  client_id: site.backends[alg],
  client_secret: site.secret,
  token_endpoint_auth_method: 'client_secret_post',
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
  scope: 'profile',
});

/** `site` is what bench/systems/peer_site.py wrote down. */
export function open(store, site) {
  const clients = ['ES256', 'RS256'].flatMap((alg) => [game(site, alg), backend(site, alg)]);
  const provider = new Provider(site.issuer, {
    adapter: adapterOn(store),
    clients,
    jwks: { keys: site.keys },
    cookies: { keys: [site.secret] },
    scopes: ['openid', 'profile', 'offline_access'],
    claims: { openid: ['sub'], profile: ['nickname', 'idp', 'idp_sub'] },
    enabledJWA: { idTokenSigningAlgValues: ['ES256', 'RS256'] },
    findAccount: (_, id) => account(store, id),
    rotateRefreshToken: true,
    clientBasedCORS: () => false,
    ttl: {
      AccessToken: 900, AuthorizationCode: DAY, ClientCredentials: 900, Grant: 180 * DAY, IdToken: 900,
      RefreshToken: 30 * DAY,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_, client) => client.clientAuthMethod !== 'none' },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => API,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource, client) => APIS[client.clientId === site.backends.RS256 ? 'RS256' : 'ES256'],
      },
    },
  });
  provider.proxy = true;
  return provider;
}

function account(store, id) {
  const claims = store.account.get(id);
  return claims && { accountId: id, claims: () => ({ sub: id, ...JSON.parse(claims) }) };
}

const APIS = Object.fromEntries(['ES256', 'RS256'].map((alg) => [alg, {
  scope: 'openid profile offline_access',
  audience: API,
  accessTokenTTL: 900,
  accessTokenFormat: 'jwt',
  jwt: { sign: { alg } },
}]));

export const readSite = (path) => JSON.parse(readFileSync(path, 'utf8'));
