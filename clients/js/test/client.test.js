import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { after, before, test } from 'node:test';

import { Mesto, MestoError } from '../src/mesto.js';
import { Node, Wire, until } from './node.js';

let node;
let context;

before(async () => {
  node = await Node.start();
  context = await node.context();
});

after(() => node.stop());

const owner = () => new Mesto(node.url, { token: node.token });

/** What a listener was told. */
function told() {
  const seen = { events: [], states: [], gaps: 0, errors: [] };
  const listener = {
    event: (event) => seen.events.push(event),
    state: (state) => seen.states.push(state),
    gap: () => (seen.gaps += 1),
    error: (error) => seen.errors.push(error),
  };
  return { seen, listener };
}

const keys = (seen) => seen.events.flatMap((event) => event.data.events?.map((one) => one.data.key) ?? []);

test('a call gives its result, and a refusal its reason', async () => {
  const board = owner().context(context);
  const done = await board.execute('set', { key: 'tea', value: 'green' });
  assert.equal(done.committed, true);
  assert.equal(done.rootHash, (await board.info()).rootHash);
  assert.equal(await board.call('get', { key: 'tea' }), 'green');
  await assert.rejects(board.call('get_or_error', { key: 'coffee' }), (error) => {
    assert.ok(error instanceof MestoError);
    assert.deepEqual([error.code, error.data], ['FunctionCallError', { kind: 'NotFound', data: 'coffee' }]);
    return true;
  });
  await assert.rejects(board.call('dance'), { code: 'MethodNotFound' });
  await assert.rejects(owner().context('nowhere').info(), { code: 'ContextNotFound', status: 404 });
  await assert.rejects(new Mesto(node.url).status(), { code: 'Unauthorized', status: 401 });
  await assert.rejects(new Mesto('http://127.0.0.1:9', { token: 'x' }).status(), { code: 'NotReachable' });
});

test('what happens is told once, also when the connection breaks in between', async () => {
  const wire = await Wire.to(node.url);
  const mesto = new Mesto(wire.url, { token: node.token });
  const board = owner().context(context);
  const { seen, listener } = told();
  const stop = mesto.context(context).subscribe(listener);
  await until('the stream is open', () => seen.states.at(-1) === 'open');
  await board.call('set', { key: 'a', value: '1' });
  await until('it is told', () => keys(seen).includes('a'));
  wire.cut();
  await until('the break is told', () => seen.states.at(-1) === 'closed');
  await board.call('set', { key: 'b', value: '1' });
  await board.call('set', { key: 'c', value: '1' });
  wire.mend();
  await until('what was missed is told', () => keys(seen).includes('c'));
  assert.deepEqual(keys(seen), ['a', 'b', 'c']);
  assert.deepEqual([seen.gaps, seen.states], [0, ['open', 'closed', 'open']]);
  stop();
  await board.call('set', { key: 'd', value: '1' });
  assert.deepEqual(keys(seen), ['a', 'b', 'c']);
  wire.close();
});

test('a gap that cannot be filled is told', async () => {
  const mesto = owner();
  const { seen, listener } = told();
  mesto.context(context).subscribe(listener);
  await until('the stream is open', () => seen.states.at(-1) === 'open');
  await node.restart();
  await until('the gap is told', () => seen.gaps === 1);
  await mesto.context(context).call('set', { key: 'after', value: '1' });
  await until('the stream goes on', () => keys(seen).includes('after'));
  mesto.close();
});

test('two listeners share a stream, and one that may not listen does not disturb the other', async () => {
  const { token } = await owner().createToken({ name: 'test', permissions: [`context:read[${context}]`] });
  const mesto = new Mesto(node.url, { token });
  const [one, two, lost] = [told(), told(), told()];
  mesto.context(context).subscribe(one.listener);
  mesto.context('diary').subscribe(lost.listener);
  await until('the stream is open', () => one.seen.states.at(-1) === 'open');
  mesto.context(context).subscribe(two.listener);
  await until('the second, too', () => two.seen.states.at(-1) === 'open');
  await owner().context(context).call('set', { key: 'both', value: '1' });
  await until('both are told', () => keys(one.seen).includes('both') && keys(two.seen).includes('both'));
  assert.equal(lost.seen.errors[0]?.code, 'Forbidden');
  mesto.close();
});

test('a login renews its tokens by itself, once for many requests', async () => {
  await node.cliReading('correct horse\n', 'user', 'add', 'anna', '--password-stdin', '--scope', 'node:read');
  await assert.rejects(Mesto.login(node.url, { username: 'anna', password: 'incorrect horse' }), { code: 'Unauthorized' });
  let kept;
  let written = 0;
  const store = { read: () => kept, write: (tokens) => { kept = tokens; written += 1; } };
  const first = await Mesto.login(node.url, { username: 'anna', password: 'correct horse', store });
  await first.status();
  await assert.rejects(first.groups(), { code: 'Forbidden', status: 403 });
  // A token that says that it has ended.
  const [header, , mac] = kept.access_token.split('.');
  const ended = Buffer.from(JSON.stringify({ exp: 1 })).toString('base64url');
  kept = { ...kept, access_token: `${header}.${ended}.${mac}` };
  const old = kept.refresh_token;
  const mesto = new Mesto(node.url, { store });
  await Promise.all([mesto.status(), mesto.status(), mesto.peers()]);
  assert.deepEqual([written, kept.refresh_token === old], [2, false]);
  // A second client over the same store, as another tab is.
  await first.status();
  await mesto.logout();
  assert.equal(kept, undefined);
  await assert.rejects(first.status(), { status: 401 });
});

test('a key logs in by a signature', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url');
  const text = base32(raw);
  await node.cli('user', 'add', 'robot', '--public-key', text, '--scope', 'node:read');
  const mesto = await Mesto.loginWithKey(node.url, { publicKey: text, sign: (bytes) => sign(null, bytes, privateKey) });
  assert.ok((await mesto.status()).peerId);
  await assert.rejects(
    Mesto.loginWithKey(node.url, { publicKey: text, sign: () => new Uint8Array(64) }),
    { code: 'Unauthorized' },
  );
});

test('a page logs in by the code in its address and stays so', async () => {
  const { url } = await node.cli('open', context, '--print');
  const storage = new Map();
  const address = new URL(url);
  const globals = {
    location: { origin: node.url, hash: address.hash, pathname: address.pathname, search: '' },
    history: { state: null, replaceState: (_, __, to) => { globals.location.hash = ''; globals.shown = to; } },
    localStorage: {
      getItem: (key) => storage.get(key) ?? null,
      setItem: (key, value) => storage.set(key, value),
      removeItem: (key) => storage.delete(key),
    },
  };
  Object.assign(globalThis, { location: globals.location, history: globals.history });
  Object.defineProperty(globalThis, 'localStorage', { value: globals.localStorage, configurable: true });
  try {
    const mesto = await Mesto.ofPage();
    assert.equal(globals.shown, `/apps/${context}/`, 'the code is gone from the address');
    assert.equal(mesto.context().id, context);
    await mesto.context().call('set', { key: 'page', value: '1' });
    const again = await Mesto.ofPage();
    assert.equal(await again.context().call('get', { key: 'page' }), '1');
    globals.location.hash = address.hash;
    assert.equal(await (await Mesto.ofPage()).context().call('get', { key: 'page' }), '1', 'a used code harms nothing');
    storage.clear();
    await assert.rejects(Mesto.ofPage(), { code: 'Unauthorized' });
  } finally {
    delete globalThis.location;
    delete globalThis.history;
    delete globalThis.localStorage;
  }
});

test('blobs are streamed in and out', async () => {
  const mesto = owner();
  const piece = new Uint8Array(1 << 20).map((_, n) => n % 251);
  let left = 8;
  const body = new ReadableStream({ pull: (stream) => (left-- > 0 ? stream.enqueue(piece) : stream.close()) });
  const { blobId, size } = await mesto.putBlob(body);
  assert.equal(size, 8 << 20);
  const part = await mesto.getBlob(blobId, { from: (1 << 20) - 2, to: (1 << 20) + 1 });
  assert.equal(part.status, 206);
  assert.deepEqual([...new Uint8Array(await part.arrayBuffer())], [...piece.slice(-2), ...piece.slice(0, 2)]);
  let read = 0;
  for await (const bytes of (await mesto.getBlob(blobId)).body) read += bytes.length;
  assert.equal(read, 8 << 20);
  await assert.rejects(mesto.getBlob('a'.repeat(52)), { code: 'BlobNotFound', status: 404 });
});

test('groups, tickets and contexts are made', async () => {
  const mesto = owner();
  const [app] = await mesto.applications();
  const { groupId } = await mesto.createGroup({ name: 'second', app: app.applicationId });
  const { contextId } = await mesto.createContext({ group: groupId, name: 'notes' });
  assert.equal((await mesto.contexts(groupId))[0].contextId, contextId);
  assert.equal((await mesto.members(groupId)).length, 1);
  assert.ok((await mesto.invite(groupId, { role: 'readonly' })).ticket.length > 50);
});

function base32(bytes) {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  let [text, bits, value] = ['', 0, 0];
  for (const byte of bytes) {
    [value, bits] = [(value << 8) | byte, bits + 8];
    while (bits >= 5) {
      text += alphabet[(value >> (bits - 5)) & 31];
      bits -= 5;
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + alphabet[(value << (5 - bits)) & 31] : text;
}
