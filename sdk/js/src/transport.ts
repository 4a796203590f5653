// The connection: a WebSocket, or HTTP streaming or SSE where a network lets no WebSocket pass.
import { Centrifuge, type Options } from 'centrifuge';
import { withoutBrokenStorage } from './storage.js';

/** The state of the transport library's fall-back. It is private there, and the version of the library is fixed. */
interface FallBack {
  _currentTransportIndex: number;
  _triedAllTransports: boolean;
  /** A transport reached the server: the library does not try another one. */
  _transportWasOpen: boolean;
}

/** Failed attempts, after a working WebSocket, before the other transports are tried: the server may restart. */
const patience = 2;

/** The transport library's code for a connect request without a response. */
const noResponse = 1;

/**
 * Opens the connection to a server. Each connect and reconnect begins with the WebSocket; if it fails, HTTP streaming
 * and SSE are tried at once. The library alone would keep the first transport that worked as long as the program runs.
 */
export function openLink(server: string, options: Partial<Options> & { getData: () => Promise<object> }): Centrifuge {
  let worked = false; // the WebSocket has worked
  let attempts = 0; // with the WebSocket, since the last connection
  const link: Centrifuge = withoutBrokenStorage(
    () =>
      new Centrifuge(
        [
          { transport: 'websocket', endpoint: `${server.replace(/^http/, 'ws')}/connection/websocket` },
          { transport: 'http_stream', endpoint: `${server}/connection/http_stream` },
          { transport: 'sse', endpoint: `${server}/connection/sse` },
        ],
        {
          ...options,
          emulationEndpoint: `${server}/emulation`,
          getData: () => {
            // called before each attempt
            if (state()._currentTransportIndex === 0) {
              state()._transportWasOpen = worked && attempts++ < patience;
              state()._triedAllTransports = false;
            }
            return options.getData();
          },
        },
      ),
  );
  const state = (): FallBack => link as unknown as FallBack;
  link.on('connecting', () => {
    attempts = 0;
    Object.assign(state(), { _currentTransportIndex: 0, _transportWasOpen: false, _triedAllTransports: true });
  });
  link.on('connected', (c) => {
    worked ||= c.transport === 'websocket';
  });
  link.on('error', (c) => {
    // A proxy may accept a WebSocket and drop its frames, or hold back a stream.
    if (c.type !== 'connect' || c.error.code !== noResponse) return;
    const next = state()._currentTransportIndex + 1;
    Object.assign(state(), {
      _currentTransportIndex: next % 3,
      _transportWasOpen: false,
      _triedAllTransports: next === 3,
    });
  });
  return link;
}
