// A room chat as the room sample's README describes it: people create or join a room and send messages
// to the others in it. One item a connection, found by an index over rooms. No order, no history, no
// retries: the sample promises none.

const { ApiGatewayManagementApi } = require('@aws-sdk/client-apigatewaymanagementapi');
const { DynamoDB } = require('@aws-sdk/client-dynamodb');

const TableName = process.env.TABLE_NAME;
const IndexName = 'room-index';

const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
const region = 'us-east-1';
const database = new DynamoDB({ region, credentials, endpoint: process.env.DYNAMODB_ENDPOINT });
const management = new ApiGatewayManagementApi({ region, credentials, endpoint: process.env.MANAGEMENT_ENDPOINT });

const DONE = { statusCode: 200 };

exports.connect = async () => DONE;

exports.create = async (event) => {
  const room = String(Math.floor(100_000 + Math.random() * 900_000));
  return enter(event, room);
};

exports.join = async (event) => {
  const { room } = JSON.parse(event.body);
  const [somebody] = await membersOf(room, 1);
  if (somebody === undefined) {
    await post(connectionOf(event), { type: 'error', message: 'no such room' });
    return DONE;
  }
  return enter(event, room);
};

exports.message = async (event) => {
  const connection = connectionOf(event);
  const { text } = JSON.parse(event.body);
  const { Item: sender } = await database.getItem({ TableName, Key: { connection: { S: connection } } });
  if (sender === undefined) {
    await post(connection, { type: 'error', message: 'join a room first' });
    return DONE;
  }
  const members = await membersOf(sender.room.S);
  const frame = { type: 'message', from: sender.name.S, text };
  await Promise.all(members.filter((member) => member !== connection).map((member) => post(member, frame)));
  return DONE;
};

exports.leave = async (event) => {
  await database.deleteItem({ TableName, Key: { connection: { S: connectionOf(event) } } });
  return DONE;
};

const connectionOf = (event) => event.requestContext.connectionId;

async function enter(event, room) {
  const connection = connectionOf(event);
  const { name } = JSON.parse(event.body);
  const Item = { connection: { S: connection }, room: { S: room }, name: { S: name } };
  await database.putItem({ TableName, Item });
  await post(connection, { type: 'joined', room });
  return DONE;
}

/** The connections in a room: all pages, unless one of `limit` is enough. */
async function membersOf(room, limit) {
  const connections = [];
  let ExclusiveStartKey;
  do {
    const page = await database.query({
      TableName,
      IndexName,
      KeyConditionExpression: 'room = :room',
      ExpressionAttributeValues: { ':room': { S: room } },
      Limit: limit,
      ExclusiveStartKey,
    });
    connections.push(...page.Items.map((item) => item.connection.S));
    ExclusiveStartKey = limit === undefined ? page.LastEvaluatedKey : undefined;
  } while (ExclusiveStartKey !== undefined);
  return connections;
}

async function post(connection, frame) {
  try {
    await management.postToConnection({ ConnectionId: connection, Data: JSON.stringify(frame) });
  } catch (error) {
    if (error.$metadata?.httpStatusCode !== 410) throw error;
    await database.deleteItem({ TableName, Key: { connection: { S: connection } } });
  }
}
