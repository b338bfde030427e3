// Makes `fetch` and `https` of Node.js use the proxy in HTTPS_PROXY. Versions that know NODE_USE_ENV_PROXY do it themselves.
'use strict';
const url = process.env.HTTPS_PROXY;
const knows = process.allowedNodeEnvironmentFlags.has('--use-env-proxy');
if (url && !knows) {
  const http = require('node:http');
  const https = require('node:https');
  const tls = require('node:tls');
  const proxy = new URL(url);
  const secret = 'Basic ' + Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64');
  const except = (process.env.NO_PROXY || '').split(',').map((name) => name.trim()).filter(Boolean);
  const isExcepted = (host) => except.some((name) => name === '*' || host === name || host.endsWith('.' + name.replace(/^\./, '')));

  // Opens a tunnel, and TLS inside of it.
  const connect = (options, done) => {
    const host = (options.servername || options.hostname || options.host).replace(/^\[|\]$/g, '');
    const name = options.host && !options.hostname ? options.host : options.hostname || options.host;
    const port = options.port || 443;
    const target = `${name.includes(':') && !name.startsWith('[') ? `[${name}]` : name}:${port}`;
    const request = http.request({
      host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: target, agent: false,
      headers: { host: target, 'proxy-authorization': secret },
    });
    request.once('connect', (response, socket) => {
      if (response.statusCode !== 200) {
        socket.destroy();
        return done(new Error(`the proxy refused ${target} with status ${response.statusCode}`));
      }
      const servername = require('node:net').isIP(host) ? undefined : host;
      const secure = tls.connect({ ...options.tls, socket, host, servername, ALPNProtocols: ['http/1.1'] });
      secure.once('secureConnect', () => done(null, secure));
      secure.once('error', done);
    });
    request.once('error', done);
    request.end();
  };

  // `https.request`, and all that is built on it.
  class TunnelAgent extends https.Agent {
    createConnection(options, done) {
      if (isExcepted(options.host)) return super.createConnection(options, done);
      const { ca, cert, key, rejectUnauthorized, servername } = options;
      connect({ host: options.host, port: options.port, servername, tls: { ca, cert, key, rejectUnauthorized } }, done);
    }
  }
  https.globalAgent = new TunnelAgent({ keepAlive: true });

  // `fetch`: its dispatcher is behind this symbol once it is loaded, and a data URL loads it without a request.
  if (typeof fetch === 'function') {
    fetch('data:,').catch(() => {});
    const symbol = Symbol.for('undici.globalDispatcher.1');
    const Agent = globalThis[symbol] && globalThis[symbol].constructor;
    if (Agent) {
      const direct = globalThis[symbol];
      const tunnelled = new Agent({ connect: (options, done) => connect({ ...options, tls: {} }, done) });
      globalThis[symbol] = new Proxy(direct, {
        get(_, name) {
          if (name === 'dispatch') {
            return (options, handler) => {
              const origin = new URL(options.origin);
              const isTunnelled = origin.protocol === 'https:' && !isExcepted(origin.hostname);
              return (isTunnelled ? tunnelled : direct).dispatch(options, handler);
            };
          }
          const value = direct[name];
          return typeof value === 'function' ? value.bind(direct) : value;
        },
      });
    }
  }
}
