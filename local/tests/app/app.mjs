// An app that is not the chat: it says what it was given, and does what it is told.
import { existsSync } from "node:fs";
import http from "node:http";

// The test reads events from the log.
const log = (event) => console.log(`EVENT ${JSON.stringify(event)}`);

function call(method, { domainName, stage, connectionId }, body = "") {
  const path = `/${stage}/@connections/${encodeURIComponent(connectionId)}`;
  return new Promise((resolve, reject) => {
    const sent = http.request(`http://${domainName}${path}`, { method }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

export async function connect(event) {
  log(event);
  const query = event.queryStringParameters ?? {};
  if (query.fail) throw new Error("told to fail");
  if (query.post) console.log(`POSTED ${await call("POST", event.requestContext, "too early")}`);
  if (query.look) console.log(`LOOKED ${await call("GET", event.requestContext)}`);
  if (query.wait) await new Promise((resolve) => setTimeout(resolve, Number(query.wait)));
  if (query.answer) return query.answer;
  const headers = query.protocol ? { "Sec-WebSocket-Protocol": query.protocol } : undefined;
  return { statusCode: Number(query.status ?? 200), headers, body: "nobody reads this" };
}

export async function disconnect(event) {
  log(event);
  return { statusCode: 200 };
}

// Route `say`, with a route response: what it returns reaches the client.
export async function say(event) {
  log(event);
  const { text, until, fail, status } = JSON.parse(event.body);
  if (fail) throw new Error("told to fail");
  // Until the test makes this file.
  while (until && !existsSync(until)) await new Promise((resolve) => setTimeout(resolve, 5));
  return { statusCode: status ?? 200, body: text === undefined ? undefined : `said ${text}` };
}

// Route `tell`, without one: it has to post.
export async function tell(event) {
  log(event);
  await call("POST", event.requestContext, `told ${JSON.parse(event.body).text}`);
  return { statusCode: 200, body: "this goes nowhere" };
}

// Route `$default`, with a route response.
export async function other(event) {
  log(event);
  return { statusCode: 200, body: `length ${event.body.length}` };
}
