// A server of the Model Context Protocol that asks for a sign-in, and the authorization server that it names, both of the TypeScript SDK.
//
//   node server.mjs -    reads a setup, one line of JSON, and runs until its input ends; prints the URL of the MCP server when it listens
//
// Each person who comes is taken to agree. The authorization server is the SDK's router with the SDK's demonstration provider, which is
// made stricter here: tokens live for the given time, refresh tokens work once, and each request for a token needs the resource.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

// The packages are beside this file, or where KEYFOB_PROVIDER_MODULES says that they were installed.
const from = process.env.KEYFOB_PROVIDER_MODULES;
const { resolve } = createRequire(from ? path.resolve(from, 'any.js') : import.meta.url);
const sdk = (name) => import(pathToFileURL(resolve(`@modelcontextprotocol/sdk/${name}`)));
const { createMcpExpressApp } = await sdk('server/express.js');
const { McpServer } = await sdk('server/mcp.js');
const { StreamableHTTPServerTransport } = await sdk('server/streamableHttp.js');
const { createOAuthMetadata, getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter, mcpAuthRouter } =
  await sdk('server/auth/router.js');
const { requireBearerAuth } = await sdk('server/auth/middleware/bearerAuth.js');
const { InvalidGrantError, InvalidTargetError, InvalidTokenError } = await sdk('server/auth/errors.js');
const { DemoInMemoryAuthProvider } = await sdk('examples/server/demoInMemoryOAuthProvider.js');

const SCOPES = ['mcp:tools'];

class Provider extends DemoInMemoryAuthProvider {
  constructor(resource, lifetime) {
    super((named) => named?.href === resource.href);
    this.resource = resource;
    this.lifetime = lifetime;
    this.refreshTokens = new Map();
  }

  async exchangeAuthorizationCode(client, code, verifier, redirectUri, resource) {
    this.requireResource(resource);
    const issued = await super.exchangeAuthorizationCode(client, code, verifier, redirectUri, resource);
    return this.limit(client, issued);
  }

  async exchangeRefreshToken(client, refreshToken, scopes, resource) {
    this.requireResource(resource);
    const known = this.refreshTokens.get(refreshToken);
    this.refreshTokens.delete(refreshToken);
    if (known?.clientId !== client.client_id) throw new InvalidGrantError('unknown refresh token');
    const token = randomUUID();
    this.tokens.set(token, { ...known, token });
    return this.limit(client, { access_token: token, token_type: 'bearer', scope: known.scopes.join(' ') });
  }

  async verifyAccessToken(token) {
    try {
      return await super.verifyAccessToken(token);
    } catch (error) {
      throw new InvalidTokenError(error.message);
    }
  }

  requireResource(resource) {
    if (resource?.href !== this.resource.href) throw new InvalidTargetError('another resource, or none');
  }

  // The demonstration's tokens live for an hour, and have no refresh token.
  limit(client, issued) {
    const data = this.tokens.get(issued.access_token);
    data.expiresAt = Date.now() + this.lifetime * 1000;
    const refreshToken = randomUUID();
    this.refreshTokens.set(refreshToken, { ...data, clientId: client.client_id });
    return { ...issued, expires_in: this.lifetime, refresh_token: refreshToken };
  }
}

async function listen() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return [server, new URL(`http://127.0.0.1:${server.address().port}`)];
}

async function readSetup() {
  const lines = createInterface({ input: process.stdin });
  lines.on('close', () => process.exit());
  const [line] = await once(lines, 'line');
  return { lifetime: 60, ...JSON.parse(line) };
}

function makeServer() {
  const server = new McpServer({ name: 'keyfob-test', version: '1.0.0' });
  server.registerTool('greet', { description: 'Greets' }, async () => ({
    content: [{ type: 'text', text: 'hello from a tool' }],
  }));
  return server;
}

const setup = await readSetup();
const [authorization, issuerUrl] = await listen();
const [api, origin] = await listen();
const resource = new URL('/mcp', origin);
const provider = new Provider(resource, setup.lifetime);

const signIn = createMcpExpressApp();
signIn.use(mcpAuthRouter({ provider, issuerUrl, scopesSupported: SCOPES, resourceServerUrl: resource }));
authorization.on('request', signIn);

const app = createMcpExpressApp();
app.use(
  mcpAuthMetadataRouter({
    oauthMetadata: createOAuthMetadata({ provider, issuerUrl, scopesSupported: SCOPES }),
    resourceServerUrl: resource,
    scopesSupported: SCOPES,
    resourceName: 'a server for tests',
  }),
);
app.use(
  '/mcp',
  requireBearerAuth({
    verifier: provider,
    requiredScopes: SCOPES,
    resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resource),
    expectedResource: resource,
  }),
);
app.post('/mcp', async (request, response) => {
  // Without sessions, each request has a server of its own.
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  const server = makeServer();
  response.on('close', () => server.close());
  await server.connect(transport);
  await transport.handleRequest(request, response, request.body);
});
api.on('request', app);
console.log(resource.href);
