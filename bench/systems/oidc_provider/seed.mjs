// Writes accounts, grants, authorization codes, refresh tokens and access tokens through oidc-provider's own models:
// seed.mjs SITE DATABASE CODES REFRESH_TOKENS PLAYERS. Prints what a client would hold, by algorithm, as JSON.

import { randomUUID } from 'node:crypto';

import { Store } from './adapter.mjs';
import { API, open, readSite, SCOPE } from './provider.mjs';

const [sitePath, database, ...counts] = process.argv.slice(2);
const [codes, refreshTokens, players] = counts.map(Number);
const site = readSite(sitePath);
const store = new Store(database, { groupCommit: true });
store.db.pragma('synchronous = OFF');
store.db.pragma('cache_size = -400000');
const provider = open(store, site);
const authTime = Math.floor(Date.now() / 1000);

const accounts = Array.from({ length: players }, () => randomUUID());
const addAccount = store.db.prepare('INSERT INTO Account (id, claims) VALUES (?, ?)');
for (const [number, id] of accounts.entries()) {
  const claims = { nickname: 'Amber', idp: 'steam', idp_sub: String(76561190000000000n + BigInt(number)) };
  await store.write(addAccount, id, JSON.stringify(claims));
}

async function granted(client, accountId) {
  const grant = new provider.Grant({ accountId, clientId: client.clientId });
  grant.addOIDCScope(SCOPE);
  grant.addResourceScope(API, SCOPE);
  return {
    accountId, client, grantId: await grant.save(), scope: SCOPE, authTime, amr: ['steam'], claims: {},
    expiresWithSession: false, resource: API,
  };
}

const code = async (client, accountId) => new provider.AuthorizationCode({
  ...await granted(client, accountId), codeChallenge: site.challenge, codeChallengeMethod: 'S256',
  redirectUri: site.redirect_uri,
}).save();

const refreshToken = async (client, accountId) => new provider.RefreshToken({
  ...await granted(client, accountId), gty: 'authorization_code', rotations: 0,
}).save();

// Only an opaque access token without an audience may be used at the userinfo endpoint and be introspected.
const accessToken = async (client, accountId) => {
  const { resource, ...rest } = await granted(client, accountId);
  return new provider.AccessToken({ ...rest, gty: 'authorization_code', expiresIn: 86400 }).save();
};

const many = (count, make, client) => Promise.all(
  Array.from({ length: count }, (_, number) => make(client, accounts[number % players])),
);

const held = {};
for (const alg of ['ES256', 'RS256']) {
  const client = await provider.Client.find(site.games[alg]);
  held[alg] = {
    codes: await many(codes, code, client),
    refresh_tokens: await many(refreshTokens, refreshToken, client),
    access_tokens: await many(players, accessToken, client),
  };
}
store.db.pragma('wal_checkpoint(TRUNCATE)');
store.db.close();
console.log(JSON.stringify(held));
