// Drives `@connections` with the JavaScript SDK, and prints what it saw as JSON.
import { createRequire } from "node:module";

const [folder, endpoint, ConnectionId] = process.argv.slice(2);
const {
  ApiGatewayManagementApiClient, DeleteConnectionCommand, GetConnectionCommand, PostToConnectionCommand,
} = createRequire(`${folder}/`)("@aws-sdk/client-apigatewaymanagementapi");

const client = new ApiGatewayManagementApiClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "local", secretAccessKey: "local" },
});

async function errorOf(command) {
  try {
    await client.send(command);
  } catch (error) {
    return [error.name, error.$metadata.httpStatusCode];
  }
  return null;
}

await client.send(new PostToConnectionCommand({ ConnectionId, Data: "from the SDK" }));
const seen = await client.send(new GetConnectionCommand({ ConnectionId }));
const tooLarge = await errorOf(new PostToConnectionCommand({ ConnectionId, Data: "x".repeat(131_073) }));
await client.send(new DeleteConnectionCommand({ ConnectionId }));
console.log(JSON.stringify({
  connectedAt: seen.ConnectedAt.toISOString().slice(0, 10),
  ordered: seen.ConnectedAt <= seen.LastActiveAt,
  sourceIp: seen.Identity.SourceIp,
  userAgent: seen.Identity.UserAgent,
  tooLarge,
  post: await errorOf(new PostToConnectionCommand({ ConnectionId, Data: "x" })),
  get: await errorOf(new GetConnectionCommand({ ConnectionId })),
  delete: await errorOf(new DeleteConnectionCommand({ ConnectionId })),
}));
