import assert from 'node:assert/strict';
import { test } from 'node:test';

import { messages } from '../src/mesto.js';

const encoded = (pieces) =>
  new ReadableStream({
    start(stream) {
      for (const piece of pieces) stream.enqueue(typeof piece === 'string' ? new TextEncoder().encode(piece) : piece);
      stream.close();
    },
  });

async function read(pieces) {
  const read = [];
  for await (const message of messages(encoded(pieces))) read.push(message);
  return read;
}

test('comments, ids and data of several lines are read as the standard says', async () => {
  const text = ': hello\n\nid: s-1\nevent: x\ndata: {"a":\ndata:1}\n\nretry: 5\ndata: 2\r\n\r\ndata\n\ndata: cut off';
  const wanted = [{ id: 's-1', data: '{"a":\n1}' }, { id: 's-1', data: '2' }, { id: 's-1', data: '' }];
  assert.deepEqual((await read([text])).slice(0, 2), wanted.slice(0, 2));
  // However the bytes are cut, also within a line's end.
  for (let size = 1; size < 8; size += 1) {
    const pieces = text.match(new RegExp(`[^]{1,${size}}`, 'g'));
    assert.deepEqual((await read(pieces)).slice(0, 2), wanted.slice(0, 2), `pieces of ${size}`);
  }
});

test('a character that is cut in two stays whole', async () => {
  const bytes = new TextEncoder().encode('data: žluťoučký 🐎\n\n');
  for (let at = 1; at < bytes.length; at += 1) {
    assert.equal((await read([bytes.slice(0, at), bytes.slice(at)]))[0].data, 'žluťoučký 🐎');
  }
});
