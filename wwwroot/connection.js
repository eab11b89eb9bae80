// The one module that touches the socket. It opens, sends, closes and reports; it decides nothing.

/**
 * `report` gets `{type: 'opened'}`, `{type: 'frame', frame}` and `{type: 'closed'}`, and of the newest
 * socket only: one that was dropped is never heard of again.
 */
export function createConnection(report) {
  let socket = null;

  function connect(server) {
    drop();
    let mine;
    try {
      mine = new WebSocket(server);
    } catch {
      report({ type: 'closed' });
      return;
    }
    socket = mine;
    const ifMine = (listener) => (event) => mine === socket && listener(event);
    mine.addEventListener('open', ifMine(() => report({ type: 'opened' })));
    mine.addEventListener('message', ifMine(({ data }) => read(data)));
    mine.addEventListener('close', ifMine(() => {
      socket = null;
      report({ type: 'closed' });
    }));
  }

  function read(data) {
    const frame = parsed(data);
    if (frame !== null) report({ type: 'frame', frame });
  }

  function send(frame) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
  }

  function drop() {
    const dropped = socket;
    socket = null;
    dropped?.close();
  }

  return { connect, send, drop };
}

function parsed(data) {
  try {
    const frame = JSON.parse(data);
    return typeof frame === 'object' && !Array.isArray(frame) ? frame : null;
  } catch {
    return null;
  }
}
