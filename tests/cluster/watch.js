'use strict';
// watch.js ADDRESS: what a client of the balancer at this address sees, a line for each thing, with milliseconds since
// 1970. `answer BEGIN END STATUS HOST ASSIGNED`: a request, three at a time, each on a connection of its own, never
// tried again; ASSIGNED is when haproxy gave it to a server, its start and its time in queues, as its header
// X-Assigned has it. `server AT NAME STATE`: a server's state in haproxy's statistics, when it has changed; `-`: it
// is gone.

const http = require('node:http');

const host = process.argv[2];
const PAUSE_MS = 1;
// One who asks for each backend: the turn of a new one comes at once.
const ASKERS = 3;
const PATIENCE_MS = 3000;

/** GET, as [status, body, X-Assigned]; status 0: there was no whole answer. */
function get(port, path, agent) {
  return new Promise((resolve) => {
    const request = http.get({ host, port, path, agent, timeout: PATIENCE_MS }, (response) => {
      let body = '';
      response.on('data', (part) => { body += part; });
      response.on('end', () => resolve([response.statusCode, body, response.headers['x-assigned']]));
      response.on('error', () => resolve([0, '']));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve([0, '']));
  });
}

/** `SECONDS MS TIME…`: the begin, and what has passed since in parts; -1 is a part that there was not. */
function assigned(header) {
  const [seconds, ms, ...parts] = (header || '').split(' ').map(Number);
  if (!seconds) return '-';
  return parts.filter((part) => part > 0).reduce((sum, part) => sum + part, seconds * 1000 + ms);
}

const pause = () => new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });

async function ask() {
  for (;;) {
    const begin = Date.now();
    const [status, body, header] = await get(80, '/?json', false);
    const name = (body.match(/"host":"([^"]*)"/) || [])[1] || '-';
    console.log(`answer ${begin} ${Date.now()} ${status} ${name} ${assigned(header)}`);
    await pause();
  }
}

/** The states of the servers of `nodes`, by name. */
function states(csv) {
  const rows = csv.split('\n').map((line) => line.split(','));
  const ours = rows.filter((row) => row[0] === 'nodes' && row[1] !== 'BACKEND');
  return new Map(ours.map((row) => [row[1], row[17].split(' ')[0]]));
}

async function look() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  let known = new Map();
  for (;;) {
    const [status, body] = await get(1936, '/;csv', agent);
    if (status === 200) {
      const now = states(body);
      for (const name of new Set([...known.keys(), ...now.keys()])) {
        const [before, after] = [known.get(name) || '-', now.get(name) || '-'];
        if (before !== after) console.log(`server ${Date.now()} ${name} ${after}`);
      }
      known = now;
    }
    await pause();
  }
}

process.stdout.on('error', () => process.exit(0));
for (let each = 0; each < ASKERS; each += 1) ask();
look();
