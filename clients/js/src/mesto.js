// @ts-check
/**
 * A client of Mesto nodes: calls, events, blobs, logins. It needs `fetch` alone and runs in browsers and in Node 20 or later.
 *
 * The types are in `mesto.d.ts`. A node serves this file as `/client.js`.
 */

/** Tokens that end within so many seconds are renewed before they are used. */
const RENEW_S = 60;

/** First and longest pause before a stream that broke is opened again. */
const AGAIN_MS = 250;
const AGAIN_MS_MAX = 10_000;

/** The node writes at least a comment every 15 s; a stream that is silent for longer than this is dead. */
const SILENT_MS_MAX = 45_000;

/** Where a page keeps its tokens. Its origin is its context's alone. */
const STORED = 'mesto.tokens';

const DOMAIN = 'mesto login 1';

/** Why something did not work. `code` is what to switch on: one of the node's error codes. */
export class MestoError extends Error {
  constructor(code, message, more = {}) {
    super(message);
    this.name = 'MestoError';
    this.code = code;
    this.hint = more.hint;
    this.data = more.data;
    this.status = more.status;
  }
}

/** A node, and who talks to it. */
export class Mesto {
  #url;
  #token;
  #tokens;
  #store;
  #renewing;
  #stream;

  /**
   * `token` is one that stays, such as the home's; `store` keeps the tokens of a login: `read()` and `write(tokens)`, which
   * gets `undefined` when the login has ended.
   */
  constructor(url, { token, store } = {}) {
    this.#url = String(url).replace(/\/+$/, '');
    this.#token = token;
    this.#store = store;
    this.#tokens = store?.read();
    this.#stream = new Stream(this);
  }

  /** Logs in by name and password. */
  static async login(url, { username, password, ...rest }) {
    return Mesto.#logIn(url, 'user_password', { username, password }, rest);
  }

  /** Logs in by a key: `sign` gets bytes and gives their Ed25519 signature. */
  static async loginWithKey(url, { publicKey, sign, ...rest }) {
    const { challenge } = await new Mesto(url).request('GET', '/auth/challenge');
    const host = new URL(url).host.toLowerCase();
    const signature = await sign(new TextEncoder().encode(`${DOMAIN}\0${host}\n${challenge}`));
    return Mesto.#logIn(url, 'ed25519', { challenge, signature: base64url(new Uint8Array(signature)) }, { ...rest, publicKey });
  }

  /** Logs in by a one-time code, as `mesto open` makes them. */
  static async loginWithCode(url, { code, ...rest }) {
    return Mesto.#logIn(url, 'code', { code }, rest);
  }

  static async #logIn(url, method, proof, { publicKey = '', clientName = 'mesto-js', permissions, store = inMemory() } = {}) {
    const tokens = await new Mesto(url).request('POST', '/auth/token', {
      json: {
        auth_method: method,
        public_key: publicKey,
        client_name: clientName,
        timestamp: Math.floor(Date.now() / 1000),
        permissions,
        provider_data: proof,
      },
    });
    store.write(tokens);
    return new Mesto(url, { store });
  }

  /** The node that served this page, by the code in the page's address or the login that the page has already. */
  static async ofPage() {
    const { origin, hash } = globalThis.location;
    const code = new URLSearchParams(hash.slice(1)).get('code');
    const store = ofOrigin();
    if (code) {
      globalThis.history.replaceState(globalThis.history.state, '', globalThis.location.pathname + globalThis.location.search);
      try {
        return await Mesto.loginWithCode(origin, { code, clientName: globalThis.document?.title || 'page', store });
      } catch (error) {
        // A page that is loaded again by a link with a used code may be logged in all the same.
        if (!store.read()) throw error;
      }
    }
    if (!store.read()) {
      throw new MestoError('Unauthorized', 'this page has no login', { hint: 'open it with `mesto open CONTEXT`' });
    }
    return new Mesto(origin, { store });
  }

  /** Where the node is. */
  get url() {
    return this.#url;
  }

  /** A context: the one with this id, or the page's own. */
  context(id) {
    const own = id ?? globalThis.location?.pathname.match(/^\/apps\/([^/]+)\//)?.[1];
    if (!own) throw new MestoError('InvalidArgument', 'this is not the page of a context: name one');
    return new Context(this, this.#stream, own);
  }

  /** Asks the node, and gives `data` of its answer. */
  async request(method, path, { json, body, headers = {}, signal } = {}) {
    const response = await this.fetch(method, path, { json, body, headers, signal });
    const answer = await response.json();
    return answer.data;
  }

  /** Asks the node, and gives the answer as it came, if it is a success. */
  async fetch(method, path, { json, body, headers = {}, signal } = {}) {
    let response = await this.#send(method, path, { json, body, headers, signal });
    const reason = response.headers.get('x-auth-error');
    // A stream has been read by now and cannot be sent again.
    const again = !(body instanceof ReadableStream);
    if (response.status === 401 && reason === 'token_expired' && this.#tokens && again) {
      await response.body?.cancel();
      await this.#renew(this.#tokens);
      response = await this.#send(method, path, { json, body, headers, signal });
    }
    if (!response.ok) throw await problem(response);
    return response;
  }

  async #send(method, path, { json, body, headers, signal }) {
    const token = await this.#bearer();
    const all = { ...headers };
    if (token) all.authorization = `Bearer ${token}`;
    if (json !== undefined) all['content-type'] = 'application/json';
    const init = { method, headers: all, body: json === undefined ? body : JSON.stringify(json), signal };
    // Node asks for this when a body is a stream.
    if (body instanceof ReadableStream) init.duplex = 'half';
    return globalThis.fetch(this.#url + path, init).catch((error) => {
      if (signal?.aborted) throw error;
      throw new MestoError('NotReachable', `${this.#url} does not answer`, { hint: 'does the node run?', data: String(error) });
    });
  }

  async #bearer() {
    if (this.#token) return this.#token;
    if (!this.#tokens) return undefined;
    const end = expiry(this.#tokens.access_token);
    if (end !== undefined && end - RENEW_S <= Date.now() / 1000) await this.#renew(this.#tokens);
    return this.#tokens.access_token;
  }

  /** Exchanges the refresh token. It works once, so only one exchange happens at a time, in all tabs together. */
  #renew(old) {
    this.#renewing ??= locked(async () => {
      const kept = this.#store?.read();
      if (kept && kept.refresh_token !== old.refresh_token) {
        this.#tokens = kept; // another tab was faster
        return;
      }
      const response = await globalThis.fetch(`${this.#url}/auth/refresh`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(old),
      }).catch((error) => {
        throw new MestoError('NotReachable', `${this.#url} does not answer`, { data: String(error) });
      });
      if (!response.ok) {
        if (response.status === 401) this.#forget();
        throw await problem(response);
      }
      this.#tokens = (await response.json()).data;
      this.#store?.write(this.#tokens);
    }).finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  #forget() {
    this.#tokens = undefined;
    this.#store?.write(undefined);
  }

  /** Ends the login. */
  async logout() {
    const tokens = this.#tokens;
    if (!tokens) return;
    await this.request('POST', '/auth/revoke', { json: { token: tokens.refresh_token } });
    this.#forget();
  }

  /** Ends every stream. */
  close() {
    this.#stream.close();
  }

  /** Stores bytes: a Blob, a buffer, text, or a ReadableStream. */
  async putBlob(body) {
    return this.request('PUT', '/admin-api/blobs', { body, headers: { 'content-type': 'application/octet-stream' } });
  }

  /** A blob's bytes as a Response, or those of a range: `{ from, to }`, both included. */
  async getBlob(id, { from, to, signal } = {}) {
    const headers = from === undefined ? {} : { range: `bytes=${from}-${to ?? ''}` };
    return this.fetch('GET', `/admin-api/blobs/${encodeURIComponent(id)}`, { headers, signal });
  }

  status() {
    return this.request('GET', '/admin-api/status');
  }

  identity(group) {
    return this.request('GET', `/admin-api/identity${group ? `?group=${encodeURIComponent(group)}` : ''}`);
  }

  peers() {
    return this.request('GET', '/admin-api/peers');
  }

  applications() {
    return this.request('GET', '/admin-api/applications');
  }

  /** Installs the bytes of a `.mpk`. */
  install(bundle) {
    return this.request('POST', '/admin-api/applications', { body: bundle, headers: { 'content-type': 'application/octet-stream' } });
  }

  groups() {
    return this.request('GET', '/admin-api/groups');
  }

  createGroup(group = {}) {
    return this.request('POST', '/admin-api/groups', { json: group, headers: once() });
  }

  members(group) {
    return this.request('GET', `/admin-api/groups/${encodeURIComponent(group)}/members`);
  }

  invite(group, invitation = {}) {
    return this.request('POST', `/admin-api/groups/${encodeURIComponent(group)}/invitations`, { json: invitation, headers: once() });
  }

  joinGroup(ticket, { contexts = 'none' } = {}) {
    return this.request('POST', '/admin-api/groups/join', { json: { ticket, contexts }, headers: once() });
  }

  contexts(group) {
    return this.request('GET', `/admin-api/contexts${group ? `?group=${encodeURIComponent(group)}` : ''}`);
  }

  createContext(context) {
    return this.request('POST', '/admin-api/contexts', { json: context, headers: once() });
  }

  createToken(token) {
    return this.request('POST', '/auth/tokens', { json: token });
  }
}

/** A context, and the app that runs in it. */
export class Context {
  #mesto;
  #stream;

  constructor(mesto, stream, id) {
    this.#mesto = mesto;
    this.#stream = stream;
    this.id = id;
  }

  /** Calls a method and gives what it gave. */
  async call(method, args = {}) {
    return (await this.execute(method, args)).output;
  }

  /** Calls a method and gives `{ output, committed, deltaId, rootHash }`. */
  async execute(method, args = {}) {
    const response = await this.#mesto.fetch('POST', '/jsonrpc', {
      json: { jsonrpc: '2.0', id: 1, method: 'execute', params: { contextId: this.id, method, argsJson: args } },
    });
    const { result, error } = await response.json();
    if (error) throw new MestoError(error.type, error.message, { data: error.data, hint: error.hint });
    return result;
  }

  /** Tells something to whoever listens now, on all members' nodes. It changes nothing and is kept nowhere. */
  async say(kind, payload) {
    const path = `/admin-api/contexts/${encodeURIComponent(this.id)}/ephemeral`;
    await this.#mesto.request('POST', path, { json: { kind, payload } });
  }

  #get(what) {
    return this.#mesto.request('GET', `/admin-api/contexts/${encodeURIComponent(this.id)}${what}`);
  }

  info() {
    return this.#get('');
  }

  schema() {
    return this.#get('/schema');
  }

  log() {
    return this.#get('/log');
  }

  syncStatus() {
    return this.#get('/sync');
  }

  join() {
    return this.#mesto.request('POST', `/admin-api/contexts/${encodeURIComponent(this.id)}/join`, { json: {} });
  }

  /**
   * Tells what happens, until the function that this gives is called. What is read after `state('open')` or `gap()` misses
   * nothing that is not told.
   */
  subscribe(listener) {
    return this.#stream.add(this.id, typeof listener === 'function' ? { event: listener } : listener);
  }
}

/** The one stream of events of a client, with all of its subscriptions. */
class Stream {
  #mesto;
  #listeners = new Map();
  #subscribed = new Set();
  #session;
  #last = 0;
  /** The loop that keeps the stream open; a new one each time that there is somebody to tell something again. */
  #run;
  #open = false;

  constructor(mesto) {
    this.#mesto = mesto;
  }

  add(context, listener) {
    const of = this.#listeners.get(context) ?? new Set();
    this.#listeners.set(context, of.add(listener));
    if (!this.#run) {
      this.#run = { began: false, pause: AGAIN_MS, broken: new AbortController() };
      this.#loop(this.#run);
    } else if (this.#open) {
      this.#subscribe([context]).then(() => this.#open && guarded(() => listener.state?.('open')));
    }
    return () => this.#remove(context, listener);
  }

  #remove(context, listener) {
    const of = this.#listeners.get(context);
    if (!of?.delete(listener) || of.size > 0) return;
    this.#listeners.delete(context);
    if (this.#listeners.size === 0) this.close();
    // If this fails, further events of it find no listener.
    else if (this.#subscribed.delete(context)) this.#change('unsubscribe', [context]).catch(() => {});
  }

  close() {
    const run = this.#run;
    this.#run = undefined;
    this.#session = undefined;
    this.#open = false;
    this.#listeners.clear();
    run?.broken.abort();
  }

  async #loop(run) {
    while (this.#run === run) {
      const failure = await this.#read(run).catch((error) => error);
      if (this.#run !== run) return;
      this.#set(false);
      if (failure instanceof MestoError && (failure.status === 401 || failure.status === 403)) {
        this.#each((listener) => listener.error?.(failure));
        this.close();
        return;
      }
      await sleep(run.pause * (0.5 + Math.random() / 2));
      run.pause = Math.min(run.pause * 2, AGAIN_MS_MAX);
    }
  }

  /** Opens the stream, or takes up the one that broke, and reads it until it ends. */
  async #read(run) {
    const broken = new AbortController();
    run.broken = broken;
    let silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => broken.abort(), SILENT_MS_MAX);
    };
    const headers = { accept: 'text/event-stream' };
    if (this.#session) headers['last-event-id'] = `${this.#session}-${this.#last}`;
    heard();
    try {
      const response = await this.#mesto.fetch('GET', '/sse', { headers, signal: broken.signal });
      for await (const { id, data } of messages(response.body, heard)) {
        const message = JSON.parse(data);
        if (message.type === 'connect') await this.#connected(run, message);
        else if (message.type === 'lagged') this.#session = undefined;
        else this.#tell(message.result, id);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  async #connected(run, { session_id: session, resumed }) {
    if (!resumed) {
      this.#session = session;
      this.#last = 0;
      this.#subscribed.clear();
    }
    // All of them, or what was added while the stream was broken.
    await this.#subscribe([...this.#listeners.keys()].filter((context) => !this.#subscribed.has(context)));
    const missed = run.began && !resumed;
    run.began = true;
    run.pause = AGAIN_MS;
    this.#set(true);
    if (missed) this.#each((listener) => listener.gap?.());
  }

  /** Subscribes to each; a context that is refused is told so to its own listeners, and does not keep others from theirs. */
  async #subscribe(contexts) {
    const wanted = contexts.filter((context) => !this.#subscribed.has(context));
    const one = async (context) => {
      try {
        await this.#change('subscribe', [context]);
        this.#subscribed.add(context);
      } catch (error) {
        for (const listener of this.#listeners.get(context) ?? []) guarded(() => listener.error?.(error));
      }
    };
    try {
      if (wanted.length === 0) return;
      await this.#change('subscribe', wanted);
      for (const context of wanted) this.#subscribed.add(context);
    } catch (error) {
      if (!(error instanceof MestoError) || error.status === undefined || error.status === 401) throw error;
      await Promise.all(wanted.map(one));
    }
  }

  #change(method, contextIds) {
    return this.#mesto.fetch('POST', '/sse/subscription', { json: { id: this.#session, method, params: { contextIds } } });
  }

  #tell(event, id) {
    if (id) this.#last = Number(id.slice(id.lastIndexOf('-') + 1));
    for (const listener of this.#listeners.get(event?.contextId) ?? []) guarded(() => listener.event?.(event));
  }

  #set(open) {
    if (this.#open === open) return;
    this.#open = open;
    this.#each((listener) => listener.state?.(open ? 'open' : 'closed'));
  }

  #each(what) {
    for (const of of [...this.#listeners.values()]) for (const listener of [...of]) guarded(() => what(listener));
  }
}

/** The messages of a stream of server-sent events, as the HTML standard has them. `heard` is called for whatever comes. */
export async function* messages(body, heard = () => {}) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let id;
  let data = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      rest += value;
      // A carriage return at the very end may be the first half of a line's end.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) yield { id, data: data.join('\n') };
          data = [];
          continue;
        }
        const [, field, text] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
        if (field === 'data') data.push(text);
        else if (field === 'id') id = text;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // it is over either way
  }
}

/** A listener that throws is its own business, not that of the others. */
function guarded(what) {
  try {
    what();
  } catch (error) {
    if (globalThis.reportError) globalThis.reportError(error);
    else queueMicrotask(() => { throw error; });
  }
}

async function problem(response) {
  const text = await response.text().catch(() => '');
  let document = {};
  try {
    document = JSON.parse(text);
  } catch {
    // Something between us and the node answered.
  }
  const code = document.code ?? (response.status === 401 ? 'Unauthorized' : 'InternalError');
  return new MestoError(code, document.detail ?? `status ${response.status}`, { hint: document.hint, data: document.data, status: response.status });
}

/** When a token ends, in seconds since 1970, if it says so. */
function expiry(token) {
  try {
    return JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'))).exp;
  } catch {
    return undefined;
  }
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Tokens that are kept for as long as the program runs. */
function inMemory() {
  let kept;
  return { read: () => kept, write: (tokens) => { kept = tokens; } };
}

/** Tokens that are kept for all tabs of this origin; in memory where pages may keep nothing, as in a sandbox. */
function ofOrigin() {
  const memory = inMemory();
  const storage = () => {
    try {
      return globalThis.localStorage;
    } catch {
      return undefined;
    }
  };
  return {
    read() {
      const text = storage()?.getItem(STORED);
      return text ? JSON.parse(text) : memory.read();
    },
    write(tokens) {
      memory.write(tokens);
      if (tokens) storage()?.setItem(STORED, JSON.stringify(tokens));
      else storage()?.removeItem(STORED);
    },
  };
}

function locked(work) {
  const locks = globalThis.navigator?.locks;
  return locks ? locks.request(STORED, work) : work();
}

function once() {
  return { 'idempotency-key': globalThis.crypto.randomUUID() };
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
