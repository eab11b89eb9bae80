// The one module that touches the socket. It decides nothing.

/** `report` hears what happens to the newest socket alone, as events of the state. */
export function createSocket(report) {
  let socket = null;

  function connect(server, protocols) {
    drop();
    let mine;
    try {
      mine = new WebSocket(server, protocols);
    } catch {
      report({ type: 'closed' });
      return;
    }
    socket = mine;
    const on = (event, listener) => mine.addEventListener(event, (it) => mine === socket && listener(it));
    on('open', () => report({ type: 'opened' }));
    on('message', ({ data }) => read(data));
    on('close', () => {
      socket = null;
      report({ type: 'closed' });
    });
  }

  function read(data) {
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (typeof frame === 'object' && frame !== null && !Array.isArray(frame)) report({ type: 'frame', frame });
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
