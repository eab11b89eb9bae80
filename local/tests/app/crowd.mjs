// Opens many WebSocket connections and holds them without a word: `node crowd.mjs <port> <count>`.
// Says `OPEN <count>` when all are open, and `LOST <n>` whenever one closes.
import net from "node:net";

const [port, count] = process.argv.slice(2).map(Number);
const AT_ONCE = 100;
const handshake =
  `GET /live HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n";
let lost = 0;

const open = () =>
  new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write(handshake));
    socket.once("data", (data) =>
      data.toString().startsWith("HTTP/1.1 101 ") ? resolve() : reject(new Error(data.toString())),
    );
    socket.on("error", reject);
    socket.on("close", () => console.log(`LOST ${(lost += 1)}`));
  });

let started = 0;
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    while (started < count) {
      started += 1;
      await open();
    }
  }),
);
console.log(`OPEN ${count}`);
