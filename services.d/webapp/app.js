'use strict';
// The lab's web application: one page that says which node answered, and the same as JSON.
// Node's own modules only, so that there is nothing to install beside Node itself.

const http = require('node:http');
const os = require('node:os');

const PORT = Number(process.env.PORT || 3000);
const ROLE = process.env.ROLE || 'webapp';
const HOST = os.hostname();

// A balancer keeps idle connections to us in a pool. If we closed them first, a request could
// cross our FIN on the wire and go unanswered, so the pool's owner decides: haproxy purges within
// seconds (pool-purge-delay), and this bound is only for clients that never close.
const IDLE_CONNECTION_MS = 10 * 60 * 1000;

let requests = 0;
let stopping = false;

/** The first address of this host that is not loopback: the one that the other nodes see. */
function ownAddress() {
  const all = Object.values(os.networkInterfaces()).flat();
  const outside = all.filter((one) => !one.internal);
  const best = outside.find((one) => one.family === 'IPv4') || outside[0];
  return best ? best.address : '127.0.0.1';
}

function facts() {
  return { host: HOST, address: ownAddress(), role: ROLE, requests, uptime_s: Math.floor(process.uptime()) };
}

function escapeHtml(text) {
  const names = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return String(text).replace(/[&<>"']/g, (sign) => names[sign]);
}

/** A colour of its own for each host, so that a reload in the browser shows the rotation at a glance. */
function hueOf(name) {
  let hash = 0;
  for (const sign of name) hash = (hash * 31 + sign.codePointAt(0)) % 360;
  return hash;
}

function page({ host, address, role, requests: count, uptime_s: uptime }) {
  const rows = [['Address', address], ['Role', role], ['Requests answered', count], ['Up for', `${uptime} s`]];
  const list = rows.map(([name, value]) => `<dt>${name}</dt><dd>${escapeHtml(value)}</dd>`).join('');
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(host)}</title>
<style>
  :root { color-scheme: light dark; --hue: ${hueOf(host)}; }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 16px/1.5 system-ui, sans-serif;
         background: hsl(var(--hue) 45% 92%); color: #1b1f24; }
  main { background: #fff; padding: 2rem 2.5rem; border-radius: 12px; border-top: 8px solid hsl(var(--hue) 60% 42%);
         box-shadow: 0 2px 16px #0002; min-width: 17rem; }
  h1 { margin: 0 0 1rem; font-size: 1.9rem; overflow-wrap: anywhere; }
  dl { display: grid; grid-template-columns: auto 1fr; gap: .3rem 1.5rem; margin: 0; }
  dt { color: #57606a; }
  dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
  p { margin: 1.2rem 0 0; color: #57606a; font-size: .9rem; }
  @media (prefers-color-scheme: dark) {
    body { background: hsl(var(--hue) 30% 12%); color: #e6edf3; }
    main { background: #161b22; } dt, p { color: #9da7b1; }
  }
</style>
</head>
<body>
<main>
<h1>${escapeHtml(host)}</h1>
<dl>${list}</dl>
<p>Reload to meet the next backend. <a href="/?json">The same as JSON</a></p>
</main>
</body>
</html>
`;
}

function wantsJson(request, query) {
  return new URLSearchParams(query).has('json') || (request.headers.accept || '').includes('application/json');
}

function send(response, status, type, body) {
  const headers = { 'Content-Type': `${type}; charset=utf-8`, 'Content-Length': Buffer.byteLength(body) };
  headers['Cache-Control'] = 'no-store';
  headers.Vary = 'Accept';
  if (stopping) headers.Connection = 'close';
  response.writeHead(status, headers);
  response.end(body);
}

function answer(request, response) {
  const [path, query] = request.url.split('?', 2);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    send(response, 405, 'text/plain', 'only GET is known here\n');
  } else if (path === '/healthz') {
    send(response, stopping ? 503 : 200, 'text/plain', stopping ? 'stopping\n' : 'ok\n');
  } else if (path !== '/') {
    send(response, 404, 'text/plain', 'not found\n');
  } else {
    requests += 1;
    if (wantsJson(request, query)) send(response, 200, 'application/json', `${JSON.stringify(facts())}\n`);
    else send(response, 200, 'text/html', page(facts()));
  }
}

const server = http.createServer(answer);
server.keepAliveTimeout = IDLE_CONNECTION_MS;

/** No new connection; what is in flight is answered; the process ends when the last one is closed. */
function stop(signal) {
  if (stopping) return;
  stopping = true;
  console.log(`${signal}: finishing what is in flight`);
  server.close(() => {
    console.log(`${requests} requests answered; bye`);
    process.exitCode = 0;
  });
  server.closeIdleConnections();
}

process.on('SIGTERM', stop);
process.on('SIGINT', stop);

server.on('error', (error) => {
  console.error(`cannot listen on port ${PORT}: ${error.message}`);
  process.exitCode = 1;
});
server.listen(PORT, () => console.log(`${HOST} listens on port ${PORT}`));
