'use strict';
// ask.js SOCKET COMMAND [PID]: what haproxy's Runtime API answers; as soon as it has, process PID is killed with -9,
// so that what was answered is what was going on at that moment.

const net = require('node:net');

const [path, command, pid] = process.argv.slice(2);
const socket = net.connect(path, () => socket.write(`${command}\n`));
let answer = '';
socket.on('data', (part) => { answer += part; });
socket.on('end', () => {
  if (pid) {
    answer = `${Date.now()}\n${answer}`;
    process.kill(Number(pid), 'SIGKILL');
  }
  process.stdout.write(answer);
});
socket.on('error', (error) => {
  console.error(`cannot ask ${path}: ${error.message}`);
  process.exitCode = 1;
});
