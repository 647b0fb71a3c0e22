import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Documents, MAX_DOCUMENTS } from '../../extension/observe/documents.js';

const A = { spanId: 'a'.repeat(16), flags: '01' };
const B = { spanId: 'b'.repeat(16), flags: '00' };

test('a document is found with its navigation', () => {
  const documents = new Documents();
  documents.committed('a', A);
  documents.committed('b', B);
  assert.deepEqual(['a', 'b', 'c', undefined].map((id) => documents.find(id)), [A, B, undefined, undefined]);
});

test('a document in a frame belongs to the navigation of its page', () => {
  const documents = new Documents();
  documents.committed('a', A);
  documents.framed('frame', 'a');
  documents.framed('nested', 'frame');
  documents.framed('lost', 'unknown');
  documents.framed('alone', undefined);
  assert.deepEqual(['frame', 'nested', 'lost', 'alone'].map((id) => documents.find(id)), [A, A, undefined, undefined]);
});

test('a restored page belongs to a new navigation with its frames', () => {
  const documents = new Documents();
  documents.committed('a', A);
  documents.framed('frame', 'a');
  documents.committed('a', B);
  assert.deepEqual([documents.find('a'), documents.find('frame')], [B, B]);
});

test('the oldest documents are forgotten', () => {
  const documents = new Documents();
  for (let n = 0; n < MAX_DOCUMENTS; n += 1) documents.committed(`d${n}`, A);
  documents.committed('d0', B);
  documents.committed('more', A);
  assert.deepEqual(['d0', 'd1', 'd2', 'more'].map((id) => documents.find(id)), [B, undefined, A, A]);
});

test('the contexts of all documents are known and can be replaced', () => {
  const documents = new Documents();
  documents.committed('a', A);
  documents.framed('frame', 'a');
  documents.committed('b', B);
  assert.deepEqual(documents.contexts(), [A, A, B]);
  const next = { spanId: 'c'.repeat(16), flags: '01' };
  documents.replaceContexts(new Map([[A.spanId, next]]));
  assert.deepEqual(['a', 'frame', 'b'].map((id) => documents.find(id)), [next, next, B]);
});
