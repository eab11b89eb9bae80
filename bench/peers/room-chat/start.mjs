// Runs the room chat: dynalite for DynamoDB in this process, serverless-offline in one of its own. Prints
// `{"websocket": URL}` once both answer, and ends with its standard input.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const HOST = '127.0.0.1';
const START_MS = 60_000;
const require = createRequire(import.meta.url);
const dynalite = require('dynalite');
const { DynamoDB } = require('@aws-sdk/client-dynamodb');

const database = dynalite({ createTableMs: 0 });
await once(database.listen(0, HOST), 'listening');
const DYNAMODB_ENDPOINT = `http://${HOST}:${database.address().port}`;
await makeTable();

const [http, lambda, websocket] = await freePorts(3);
const ports = ['--httpPort', http, '--lambdaPort', lambda, '--websocketPort', websocket].map(String);
const modes = process.argv.slice(2);
const offline = spawn(
  process.execPath,
  [require.resolve('serverless/bin/serverless.js'), 'offline', 'start', '--host', HOST, ...ports, ...modes],
  {
    env: {
      ...process.env,
      DYNAMODB_ENDPOINT,
      MANAGEMENT_ENDPOINT: `http://${HOST}:${websocket}`,
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
      SLS_TELEMETRY_DISABLED: '1',
      SLS_NOTIFICATIONS_MODE: 'off',
      SLS_ANALYTICS_DISABLED: '1',
    },
    stdio: ['ignore', 2, 2],
  },
);
offline.once('exit', (code) => process.exit(code ?? 1));
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, end);
process.stdin.once('end', end).resume();

await answers(websocket);
console.log(JSON.stringify({ websocket: `ws://${HOST}:${websocket}` }));

function end() {
  offline.kill('SIGKILL');
  process.exit(0);
}

async function makeTable() {
  const client = new DynamoDB({
    region: 'us-east-1',
    endpoint: DYNAMODB_ENDPOINT,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  await client.createTable({
    TableName: 'room-chat',
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [
      { AttributeName: 'connection', AttributeType: 'S' },
      { AttributeName: 'room', AttributeType: 'S' },
    ],
    KeySchema: [{ AttributeName: 'connection', KeyType: 'HASH' }],
    GlobalSecondaryIndexes: [
      {
        IndexName: 'room-index',
        KeySchema: [{ AttributeName: 'room', KeyType: 'HASH' }],
        Projection: { ProjectionType: 'ALL' },
      },
    ],
  });
  client.destroy();
}

async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, HOST));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function answers(port) {
  for (const since = Date.now(); Date.now() - since < START_MS; await sleep(50)) {
    const socket = connect(port, HOST);
    const is = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'error').then(() => false)])
      .catch(() => false);
    socket.destroy();
    if (is) return;
  }
  console.error(`serverless-offline does not answer within ${START_MS} ms`);
  end();
}
