// A certified OpenID provider, for keyfob's tests and to try keyfob with. It keeps everything in memory, or with a `state` in
// this file, so that tokens and sign-ins survive a restart.
//
//   node provider.mjs [STATE]
//                          listens on 127.0.0.1:4000, with the clients below
//   node provider.mjs -    reads a setup, one line of JSON, and runs until its input ends; prints its issuer when it listens
//
// Everybody who comes is "anna" and agrees to all, unless the setup has `"ask": true`: then there is a page with two buttons.

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

import { memory } from './memory.mjs';

// The packages are beside this file, or where KEYFOB_PROVIDER_MODULES says that they were installed.
const from = process.env.KEYFOB_PROVIDER_MODULES;
const { resolve } = createRequire(from ? path.resolve(from, 'any.js') : import.meta.url);
const { Provider, errors } = await import(pathToFileURL(resolve('oidc-provider')));
const { createLocalJWKSet, jwtVerify } = await import(
  pathToFileURL(createRequire(resolve('oidc-provider')).resolve('jose')),
);

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';

// To try keyfob with: a client with a secret, and one of somebody's desktop.
const DEMONSTRATION = [
  { client_id: 'demo', client_secret: 'demo-secret', grant_types: ['client_credentials'] },
  {
    client_id: 'desktop',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    grant_types: ['authorization_code', 'refresh_token', DEVICE_CODE],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/callback'],
  },
  // Of the example `many_users`: a service, and its users.
  { client_id: 'gateway', client_secret: 'gateway-secret', grant_types: [TOKEN_EXCHANGE] },
  ...Array.from({ length: 1000 }, (_, number) => ({
    client_id: `user-${number}`,
    client_secret: 'user-secret',
    grant_types: ['client_credentials'],
  })),
];

const setup = await readSetup();
const { Adapter, kept } = memory(setup.state);
// Without a state, made anew at each start: what an earlier one has signed is worth nothing.
const SIGNING_KEY = kept('key', () =>
  generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
);

const server = createServer();
await new Promise((listening) => {
  server.listen(setup.port, '127.0.0.1', listening);
});
const issuer = `http://127.0.0.1:${server.address().port}`;
// Where clients with a certificate are served, if the setup has certificates.
const tlsServer = setup.mtls && createTlsServer({ ...setup.mtls, requestCert: true });
if (tlsServer) {
  await new Promise((listening) => {
    tlsServer.listen(0, '127.0.0.1', listening);
  });
}
const provider = makeProvider();
server.on('request', provider.callback());
tlsServer?.on('request', provider.callback());
console.log(issuer);

async function readSetup() {
  let given = { state: process.argv[2], lifetime: 120 };
  if (process.argv[2] === '-') {
    const lines = createInterface({ input: process.stdin });
    lines.on('close', () => process.exit());
    const [line] = await once(lines, 'line');
    given = JSON.parse(line);
  }
  return {
    port: 4000, // 0 for any that is free
    clients: DEMONSTRATION, // as dynamic registration would have them (RFC 7591)
    lifetime: 60, // of access tokens, in seconds
    ask: false, // whether people are asked, rather than taken to agree
    oauthPath: false, // whether the metadata are at the path of RFC 8414, and not at that of OpenID
    pushed: false, // whether authorization requests have to be pushed (RFC 9126)
    mtls: undefined, // `key`, `cert` and `ca` in PEM of a server for clients with a certificate (RFC 8705)
    dpopNonce: false, // whether a DPoP proof needs a nonce of the server's; always so for clients named nonce…
    ...given,
  };
}

function makeProvider() {
  const made = new Provider(issuer, {
    adapter: Adapter,
    clients: setup.clients.map((client) => ({ redirect_uris: [], response_types: [], ...client })),
    clientAuthMethods: [
      'none',
      'client_secret_basic',
      'client_secret_post',
      'private_key_jwt',
      ...(tlsServer ? ['tls_client_auth', 'self_signed_tls_client_auth'] : []),
    ],
    discovery: tlsServer && {
      mtls_endpoint_aliases: { token_endpoint: `https://127.0.0.1:${tlsServer.address().port}/token` },
    },
    enabledJWA: {
      clientAuthSigningAlgValues: ['RS256', 'RS384', 'ES256', 'ES384', 'EdDSA'],
      dPoPSigningAlgValues: ['RS256', 'RS384', 'ES256', 'ES384', 'EdDSA'],
    },
    cookies: { keys: ['of no worth'] },
    jwks: { keys: [SIGNING_KEY] },
    scopes: ['openid', 'offline_access', 'read', 'write'],
    ttl: {
      AccessToken: () => setup.lifetime,
      ClientCredentials: () => setup.lifetime,
      DeviceCode: 600,
      Grant: 3600,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 3600,
      Session: 3600,
    },
    rotateRefreshToken: true,
    issueRefreshToken: (ctx, client, code) =>
      client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: setup.pushed },
      dPoP: {
        enabled: true,
        nonceSecret: Buffer.alloc(32, 7),
        requireNonce: (ctx) =>
          setup.dpopNonce || (ctx.oidc.client?.clientId.startsWith('nonce') ?? false),
      },
      mTLS: {
        enabled: Boolean(tlsServer),
        certificateBoundAccessTokens: true,
        tlsClientAuth: true,
        selfSignedTlsClientAuth: true,
        getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
        certificateAuthorized: (ctx) => ctx.socket.authorized,
        certificateSubjectMatches: (ctx, property, expected) =>
          property === 'tls_client_auth_san_dns' &&
          ctx.socket.getPeerX509Certificate().subjectAltName === `DNS:${expected}`,
      },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => {
          if (!/^https:\/\/api\.|^http:\/\/127\.0\.0\.1:/.test(resource)) throw new errors.InvalidTarget();
          return {
            scope: 'read write',
            audience: resource,
            accessTokenTTL: setup.lifetime,
            accessTokenFormat: 'jwt',
            jwt: { sign: { alg: 'RS256' } },
          };
        },
      },
    },
  });
  made.registerGrantType(JWT_BEARER, jwtBearer, ['assertion', 'scope']);
  made.registerGrantType(TOKEN_EXCHANGE, tokenExchange, [
    'subject_token',
    'subject_token_type',
    'actor_token',
    'actor_token_type',
    'requested_token_type',
    'audience',
    'resource',
    'scope',
  ]);
  made.use(metadataPath);
  made.use(interaction);
  return made;
}

// RFC 7523 §2.1: whom the client's key vouches for.
async function jwtBearer(ctx) {
  const { client, params } = ctx.oidc;
  const keys = createLocalJWKSet(client.jwks ?? { keys: [] });
  const checks = { audience: [issuer, `${issuer}/token`], issuer: client.clientId };
  const verified = await jwtVerify(params.assertion ?? '', keys, checks).catch(() => {
    throw new errors.InvalidGrant('assertion');
  });
  if (!(await provider.ReplayDetection.unique(client.clientId, verified.payload.jti, verified.payload.exp))) {
    throw new errors.InvalidGrant('replay');
  }
  await issue(ctx, verified.payload.sub);
}

// RFC 8693: an access token of this provider's for another one.
async function tokenExchange(ctx) {
  const { params } = ctx.oidc;
  if (params.subject_token_type !== 'urn:ietf:params:oauth:token-type:access_token') {
    throw new errors.InvalidRequest('subject_token_type');
  }
  const kinds = [provider.AccessToken, provider.ClientCredentials];
  const found = await Promise.all(kinds.map((kind) => kind.find(params.subject_token)));
  const subject = found.find((token) => token?.isValid);
  if (!subject) throw new errors.InvalidGrant('subject_token');
  await issue(ctx, subject.accountId ?? subject.clientId, {
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  });
}

async function issue(ctx, accountId, more = {}) {
  const { client, params } = ctx.oidc;
  const grant = new provider.Grant({ accountId, clientId: client.clientId });
  if (params.scope) grant.addOIDCScope(params.scope);
  const token = new provider.AccessToken({
    accountId,
    client,
    grantId: await grant.save(),
    scope: params.scope,
    gty: params.grant_type,
  });
  ctx.body = {
    access_token: await token.save(),
    expires_in: token.expiration,
    token_type: token.tokenType,
    scope: token.scope,
    ...more,
  };
}

async function metadataPath(ctx, next) {
  const [openid, oauth] = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'];
  if (setup.oauthPath && ctx.path === openid) {
    ctx.status = 404;
    return;
  }
  if (setup.oauthPath && ctx.path === oauth) ctx.path = openid;
  await next();
}

// The pages on which people sign in and agree.
async function interaction(ctx, next) {
  const [, uid, verdict] = ctx.path.match(/^\/interaction\/([\w-]+)(?:\/(approve|deny))?$/) ?? [];
  if (!uid) {
    await next();
    return;
  }
  if (setup.ask && !verdict) {
    ctx.type = 'html';
    ctx.body = `<!doctype html><title>Sign in</title>
      <form method="post" action="/interaction/${uid}/approve"><button id="approve">Approve</button></form>
      <form method="post" action="/interaction/${uid}/deny"><button id="deny">Deny</button></form>`;
    return;
  }
  const result = verdict === 'deny' ? { error: 'access_denied' } : await agree(ctx);
  await provider.interactionFinished(ctx.req, ctx.res, result);
  ctx.respond = false;
}

async function agree(ctx) {
  const { prompt, params, session } = await provider.interactionDetails(ctx.req, ctx.res);
  if (prompt.name === 'login') return { login: { accountId: 'anna' } };
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  return { consent: { grantId: await grant.save() } };
}
