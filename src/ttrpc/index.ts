/**
 * ttrpc for Node: typed clients and servers over unix sockets, on the wire the same as github.com/containerd/ttrpc.
 *
 * @module hawser/ttrpc
 */
export { Client, type ClientInterceptor, type ClientOptions, type OutgoingCall } from './client.js';
export { connect, type ConnectOptions } from './connect.js';
export type { BidiCall, ClientMethod, SendingCall, ServiceClient } from './client-types.js';
export type { CallOptions } from './exchange.js';
export { Server, type ServerOptions } from './server.js';
export type { Authorize } from './authorize.js';
export type { ActiveCall, CallContext, ConnectionInfo, PeerCredentials, ServerInterceptor } from './call-context.js';
export type { Handler, Handlers } from './handlers.js';
export { defineService, method } from './service.js';
export type { AnyMethod, Encoded, MessageType, MethodDefinition, MethodKind, ServiceDefinition } from './service.js';
export { Code, TtrpcError, type AnyMessage, type TtrpcErrorOptions } from './status.js';
export { Metadata, type MetadataInit } from './metadata.js';
export type { StallLimits } from './inbox.js';
export { MAX_MESSAGE_LENGTH } from './wire.js';
