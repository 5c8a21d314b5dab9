/** Why something did not work. */
export class MestoError extends Error {
  /** One of the node's error codes (docs/errors.md), such as `FunctionCallError`, `Unauthorized` or `NotReachable`. */
  code: string;
  /** What to do next. */
  hint?: string;
  /** More for programs: an app's own error. */
  data?: unknown;
  /** The HTTP status, if the node answered with one. */
  status?: number;
  constructor(code: string, message: string, more?: { hint?: string; data?: unknown; status?: number });
}

export interface Tokens {
  access_token: string;
  refresh_token: string;
}

/** Keeps the tokens of a login. */
export interface TokenStore {
  read(): Tokens | undefined;
  /** `undefined` when the login has ended. */
  write(tokens: Tokens | undefined): void;
}

export interface LoginOptions {
  clientName?: string;
  /** What the tokens shall allow; all that whoever logs in may, if absent. */
  permissions?: string[];
  /** Where tokens are kept; in memory if absent. */
  store?: TokenStore;
}

export interface RequestOptions {
  json?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export interface Called<T = unknown> {
  output: T;
  /** Whether a delta was made. */
  committed: boolean;
  deltaId: string | null;
  rootHash: string;
}

export interface ContextInfo {
  contextId: string;
  groupId: string;
  name: string | null;
  applicationId: string;
  version: string | null;
  rootHash: string;
  heads: string[];
  entries: number;
  identity: string | null;
  joined: boolean;
  ready: boolean;
  visibility: string;
}

export interface Mutation {
  newRoot: string;
  events: { kind: string; data: unknown; handler: string | null }[];
  deltaId?: string;
  author?: string;
}

export interface MestoEvent {
  contextId: string | null;
  groupId: string | null;
  seq: number;
  /** `StateMutation` (its data is a {@link Mutation}), `SyncStatus`, `MemberAdded`, `Ephemeral`, … */
  type: string;
  data: unknown;
}

export interface Listener {
  event?(event: MestoEvent): void;
  /** `open` once nothing is missed any more, `closed` while the node does not answer. It is tried again by itself. */
  state?(state: 'open' | 'closed'): void;
  /** Something was missed for good: read the state anew. */
  gap?(): void;
  /** The node refuses, for good. */
  error?(error: MestoError): void;
}

/** A node, and who talks to it. */
export class Mesto {
  constructor(url: string, options?: { token?: string; store?: TokenStore });
  static login(url: string, options: { username: string; password: string } & LoginOptions): Promise<Mesto>;
  static loginWithKey(
    url: string,
    options: { publicKey: string; sign(bytes: Uint8Array): Promise<ArrayBuffer | Uint8Array> | Uint8Array } & LoginOptions,
  ): Promise<Mesto>;
  static loginWithCode(url: string, options: { code: string } & LoginOptions): Promise<Mesto>;
  /** The node that served this page. Rejects with code `Unauthorized` if the page has no login. */
  static ofPage(): Promise<Mesto>;
  readonly url: string;
  /** The context with this id, or the page's own. */
  context(id?: string): Context;
  request<T = unknown>(method: string, path: string, options?: RequestOptions): Promise<T>;
  fetch(method: string, path: string, options?: RequestOptions): Promise<Response>;
  logout(): Promise<void>;
  close(): void;
  putBlob(body: BodyInit): Promise<{ blobId: string; size: number }>;
  getBlob(id: string, range?: { from?: number; to?: number; signal?: AbortSignal }): Promise<Response>;
  status(): Promise<Record<string, unknown>>;
  identity(group?: string): Promise<{ peerId: string; memberId: string | null }>;
  peers(): Promise<Record<string, unknown>[]>;
  applications(): Promise<Record<string, unknown>[]>;
  install(bundle: BodyInit): Promise<{ applicationId: string; blobId: string; package: string; version: string }>;
  groups(): Promise<Record<string, unknown>[]>;
  createGroup(group?: { name?: string; app?: string; policy?: string }): Promise<{ groupId: string; memberId: string }>;
  members(group: string): Promise<Record<string, unknown>[]>;
  invite(
    group: string,
    invitation?: { role?: string; capabilities?: string[]; expiresMs?: number; uses?: number },
  ): Promise<{ ticket: string; invitationId: string; expiresAt: string }>;
  joinGroup(ticket: string, options?: { contexts?: 'all' | 'none' }): Promise<Record<string, unknown>>;
  contexts(group?: string): Promise<ContextInfo[]>;
  createContext(context: {
    group: string;
    app?: string;
    name?: string;
    init?: Record<string, unknown>;
  }): Promise<{ contextId: string; identity: string }>;
  createToken(token: {
    name: string;
    permissions: string[];
    expiresMs?: number;
  }): Promise<{ tokenId: string; token: string; expiresAt: string }>;
}

/** A context, and the app that runs in it. */
export class Context {
  readonly id: string;
  call<T = unknown>(method: string, args?: object): Promise<T>;
  execute<T = unknown>(method: string, args?: object): Promise<Called<T>>;
  /** Tells something to whoever listens now, on all members' nodes. It changes nothing and is kept nowhere. */
  say(kind: string, payload: unknown): Promise<void>;
  info(): Promise<ContextInfo>;
  schema(): Promise<unknown>;
  log(): Promise<Record<string, unknown>[]>;
  syncStatus(): Promise<Record<string, unknown>>;
  join(): Promise<{ contextId: string; identity: string }>;
  /** Tells what happens, until the function that this gives is called. */
  subscribe(listener: Listener | ((event: MestoEvent) => void)): () => void;
}

/** The messages of a stream of server-sent events. */
export function messages(
  body: ReadableStream<Uint8Array>,
  heard?: () => void,
): AsyncGenerator<{ id: string | undefined; data: string }>;
