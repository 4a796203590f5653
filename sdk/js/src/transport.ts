// The connection: a WebSocket, or HTTP streaming or SSE where a network lets no WebSocket pass.
import { Centrifuge, type Options } from 'centrifuge';
import { withoutBrokenStorage } from './storage.js';

/** The parts of the transport library that are private there. The version of the library is fixed. */
interface Private {
  _currentTransportIndex: number;
  _triedAllTransports: boolean;
  /** A transport reached the server: the library does not try another one. */
  _transportWasOpen: boolean;
  /** Ends the connection; without reconnect for good. */
  _disconnect(code: number, reason: string, reconnect: boolean): void;
}

/** Failed attempts, after a working WebSocket, before the other transports are tried: the server may restart. */
const patience = 2;

/** The transport library's code for a connect request without a response. */
const noResponse = 1;

/** The server's code and reason for a connection after which the same device has connected. */
const replacedCode = 4502;
const replacedReason = 'replaced by a newer connection of this device';

/**
 * Time after a connect in which an earlier request without a response may reach the server, in milliseconds: after an
 * outage the operating system repeats sent packets, also on a connection that was given up.
 */
const lateTime = 120_000;

/**
 * Opens the connection to a server. Each connect and reconnect begins with the WebSocket; if it fails, HTTP streaming
 * and SSE are tried at once. The library alone would keep the first transport that worked as long as the program runs.
 */
export function openLink(server: string, options: Partial<Options> & { getData: () => Promise<object> }): Centrifuge {
  let worked = false; // the WebSocket has worked
  let attempts = 0; // with the WebSocket, since the last connection
  let unanswered = false; // a connect request since the last connection had no response
  let lateUntil = 0; // it may still replace this connection
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
  const state = (): Private => link as unknown as Private;
  const { _disconnect } = state();
  state()._disconnect = (code, reason, reconnect) => {
    const own = code === replacedCode && reason === replacedReason && performance.now() < lateUntil;
    if (own) lateUntil = 0;
    _disconnect.call(link, code, reason, reconnect || own);
  };
  link.on('connecting', () => {
    attempts = 0;
    Object.assign(state(), { _currentTransportIndex: 0, _transportWasOpen: false, _triedAllTransports: true });
  });
  link.on('connected', (c) => {
    worked ||= c.transport === 'websocket';
    lateUntil = unanswered ? performance.now() + lateTime : 0;
    unanswered = false;
  });
  link.on('error', (c) => {
    // A proxy may accept a WebSocket and drop its frames, or hold back a stream.
    if (c.type !== 'connect' || c.error.code !== noResponse) return;
    unanswered = true;
    const next = state()._currentTransportIndex + 1;
    Object.assign(state(), {
      _currentTransportIndex: next % 3,
      _transportWasOpen: false,
      _triedAllTransports: next === 3,
    });
  });
  return link;
}
