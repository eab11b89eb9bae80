// A Lambda runtime for Node in one screen: asks the Runtime API for events, and hands them to the
// function that `_HANDLER` names in the module given as the only argument.
import http from "node:http";
import { pathToFileURL } from "node:url";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function request(method, path, body = "") {
  return new Promise((resolve, reject) => {
    const options = { host, port, method, path: `/2018-06-01/runtime/${path}`, agent };
    const sent = http.request(options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const described = (error) => JSON.stringify({ errorType: error.name, errorMessage: error.message });

let handler;
try {
  handler = (await import(pathToFileURL(process.argv[2])))[process.env._HANDLER];
  if (!handler) throw new Error(`no handler is called ${process.env._HANDLER}`);
} catch (error) {
  await request("POST", "init/error", described(error));
  process.exit(1);
}

for (;;) {
  const { headers, body } = await request("GET", "invocation/next");
  const id = headers["lambda-runtime-aws-request-id"];
  try {
    const answer = await handler(JSON.parse(body));
    await request("POST", `invocation/${id}/response`, JSON.stringify(answer ?? null));
  } catch (error) {
    await request("POST", `invocation/${id}/error`, described(error));
  }
}
