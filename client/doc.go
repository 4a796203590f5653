// Package client is the Go SDK of Beckon: typed methods, a listener with Tencent Chat's callback names, and a
// connection that reconnects by itself and recovers missed events.
//
// # Connecting
//
// A Client is one device of one user. New returns it disconnected, Connect waits for the connection, and Close ends it
// with its goroutines. Options has the token or its source, the identity of the device, and how connections are made:
// a CA of your own, a proxy, a dialer, a logger. Its methods are safe for concurrent use.
//
// # Calls
//
// Every method takes a context and the request of package protocol, and returns the response. A call that is made
// while the client reconnects waits for the connection. A call whose connection is lost is sent again; its request ID,
// which the SDK sets, lets it take effect once. A context without a deadline ends after Options.CallTimeout.
//
// # Events
//
// The callbacks of a Listener run one at a time, in the order of the events, on a goroutine of the client. They may
// call all methods except Close. A callback that blocks delays those after it, so a program of its own pace passes the
// events on through a channel.
//
// # Reconnects
//
// After a lost connection the client connects again, and receives what it missed: the callbacks are those of a
// connection without the interruption. After too long a time OnReload names the timelines to read again. With
// Options.Store, or Positions, this holds for a restart of the program, too. OnDisconnected reports the end: the token
// was refused (protocol.CloseRefused), or the device was replaced (protocol.CloseKicked).
//
// # Errors
//
// Every failure is an *Error. Its code is that of the refusal of the server (package im), or CodeDisconnected or
// CodeTimeout with a cause that errors.Is finds: ErrClosed, ErrNotConnected, ErrTimeout, the error of the context.
// Refusals that are temporary (9506, 10002) are repeated by the SDK, unless Options.NoRepeat is set.
//
// # Packages
//
// Package protocol has the requests, responses and events, im the error codes and the rules of groups and rooms,
// upload the files to upload, and forward the content of messages that repeat others. Package beckontest runs a real
// server in a test.
package client
