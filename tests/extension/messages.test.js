import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import * as messages from '../../extension/channel/messages.js';

/** @param {string} name */
const fixture = (name) => JSON.parse(readFileSync(new URL(`../fixtures/messages/${name}.json`, import.meta.url), 'utf8'));

const session = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', flags: '01' };

test('messages to the host are built as the fixtures are', () => {
  const self = { extension: '0.1.0', offTheRecord: true };
  const { browser } = fixture('hello');
  assert.deepEqual(messages.hello({ ...self, session: null, browser }), fixture('hello'));
  assert.deepEqual(JSON.parse(JSON.stringify(messages.hello({ ...self, session }))), fixture('hello-resume'));
  assert.deepEqual(messages.armed('detailed'), fixture('armed'));
  const { observations } = fixture('observed');
  assert.deepEqual(messages.observed({ worker: '9f86d081884c7d65', number: 1, dropped: 0, observations }), fixture('observed'));
  assert.deepEqual(messages.replenish(32), fixture('replenish'));
});

test('a count stays in the range that the host takes', () => {
  assert.equal(JSON.stringify(messages.replenish(5000)), '{"v":1,"type":"replenish","count":1000}');
  assert.equal(JSON.stringify(messages.replenish(0)), '{"v":1,"type":"replenish","count":1}');
});

for (const name of ['session', 'contexts', 'received', 'error']) {
  test(`the fixture ${name} is accepted`, () => assert.deepEqual(messages.read(fixture(name)), { message: fixture(name), fault: null }));
}

for (const mode of ['auto', 'lightweight', 'detailed']) {
  test(`the mode ${mode} is accepted`, () => {
    const message = { ...fixture('session'), mode };
    assert.deepEqual(messages.read(message), { message, fault: null });
  });
}

test('armed names each mode', () => {
  assert.deepEqual(messages.armed('lightweight'), { ...fixture('armed'), mode: 'lightweight' });
});

test('fields that are not known are ignored', () => {
  assert.equal(messages.read({ ...fixture('contexts'), later: 1 }).fault, null);
});

/** @type {[why: string, value: unknown, fault: RegExp][]} */
const UNUSABLE = [
  ['nothing', undefined, /not an object/],
  ['a list', [], /not an object/],
  ['no version', { type: 'contexts', contexts: [] }, /version/],
  ['another version', { ...fixture('session'), v: 2 }, /version 2/],
  ['an unknown type', { v: 1, type: 'hullo' }, /unknown type "hullo"/],
  ['a type that only objects have', { v: 1, type: 'toString' }, /unknown type/],
  ['no mode', { ...fixture('session'), mode: undefined }, /session message/],
  ['an unknown mode', { ...fixture('session'), mode: 'thorough' }, /session message/],
  ['a mode in capitals', { ...fixture('session'), mode: 'Auto' }, /session message/],
  ['no session', { ...fixture('session'), session: null }, /session message/],
  ['a trace id of zeros', { ...fixture('session'), session: { ...session, traceId: '0'.repeat(32) } }, /session message/],
  ['a span id in capitals', { v: 1, type: 'contexts', contexts: [{ spanId: 'E457B5A2E4D86BD1', flags: '01' }] }, /contexts message/],
  ['flags of one digit', { v: 1, type: 'contexts', contexts: [{ spanId: 'e457b5a2e4d86bd1', flags: '1' }] }, /contexts message/],
  ['a batch that no worker made', { v: 1, type: 'received', number: 1 }, /received message/],
  ['a batch without a number', { ...fixture('received'), number: '1' }, /received message/],
  ['an error without a text', { v: 1, type: 'error', code: 'invalid' }, /error message/],
];
for (const [why, value, fault] of UNUSABLE) {
  test(`a message with ${why} is refused`, () => assert.match(messages.read(value).fault ?? '', fault));
}
