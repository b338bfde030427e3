// An API that lets in whom the provider on 127.0.0.1:4000 has given a token for it, to try keyfob with.
//
//   node api.mjs    listens on 127.0.0.1:4001
//
// It checks tokens by the provider's keys, which it remembers: it goes on without the provider, as APIs do.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';

// The packages are where those of the provider are.
const from = process.env.KEYFOB_PROVIDER_MODULES;
const { resolve } = createRequire(from ? path.resolve(from, 'any.js') : import.meta.url);
const { createRemoteJWKSet, jwtVerify } = await import(
  pathToFileURL(createRequire(resolve('oidc-provider')).resolve('jose')),
);

const issuer = 'http://127.0.0.1:4000';
const audience = 'http://127.0.0.1:4001';
// A provider that was started anew signs with another key: it is asked for that at once.
const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`), { cooldownDuration: 0, cacheMaxAge: Infinity });

createServer(async (request, response) => {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ');
  const verified =
    scheme === 'Bearer' && (await jwtVerify(token, keys, { issuer, audience }).catch(() => undefined));
  if (!verified) {
    response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end();
    return;
  }
  const left = verified.payload.exp - Math.floor(Date.now() / 1000);
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify({ client: verified.payload.client_id, token_ends_in: left })}\n`);
}).listen(4001, '127.0.0.1', () => console.log(audience));
