// What the action function has at hand before it asks for work, and a runtime client that does no more
// than it has to: that of AWS's Node images does more, and starts later.

import http from "node:http";
import { ApiGatewayManagementApiClient, PostToConnectionCommand } from "@aws-sdk/client-apigatewaymanagementapi";
import { DynamoDBClient, QueryCommand } from "@aws-sdk/client-dynamodb";

const database = new DynamoDBClient({});
const connections = new ApiGatewayManagementApiClient({ endpoint: process.env.MANAGEMENT_ENDPOINT });
const agent = new http.Agent({ keepAlive: true });
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");

const call = (method, path, body) =>
  new Promise((resolve, reject) => {
    const request = http.request({ host, port, agent, method, path: `/2018-06-01/runtime/${path}` }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(parts).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });

/** Tells all members of a room what one of them says. */
const handle = async ({ room, text }) => {
  const members = await database.send(
    new QueryCommand({
      TableName: process.env.TABLE_NAME,
      KeyConditionExpression: "pk = :room",
      ExpressionAttributeValues: { ":room": { S: room } },
    }),
  );
  const posts = members.Items.map((it) =>
    connections.send(new PostToConnectionCommand({ ConnectionId: it.connection.S, Data: text })),
  );
  await Promise.allSettled(posts);
  return { statusCode: 200 };
};

const serve = async () => {
  for (;;) {
    const { headers, body } = await call("GET", "invocation/next");
    const id = headers["lambda-runtime-aws-request-id"];
    try {
      await call("POST", `invocation/${id}/response`, JSON.stringify(await handle(JSON.parse(body))));
    } catch (error) {
      await call("POST", `invocation/${id}/error`, JSON.stringify({ errorMessage: String(error), errorType: "Error" }));
    }
  }
};

serve();
