import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { beforeEach, test } from 'node:test';

import * as messages from '../../extension/channel/messages.js';
import { NAVIGATOR, fakeChrome } from './support/chrome.js';

beforeEach(() => void fakeChrome());

/** @param {string} name */
const fixture = (name) => JSON.parse(readFileSync(new URL(`../fixtures/messages/${name}.json`, import.meta.url), 'utf8'));

const session = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', flags: '01' };

test('messages to the host equal the fixtures', () => {
  const self = { extension: '0.1.0', offTheRecord: true };
  const { browser } = fixture('hello');
  assert.deepEqual(messages.hello({ ...self, session: null, browser }), fixture('hello'));
  assert.deepEqual(JSON.parse(JSON.stringify(messages.hello({ ...self, session }))), fixture('hello-resume'));
  assert.deepEqual(messages.armed('detailed'), fixture('armed'));
  assert.deepEqual(messages.problem(fixture('problem').message), fixture('problem'));
  assert.deepEqual(messages.askSettings(), fixture('ask-settings'));
  assert.deepEqual(messages.store(fixture('store').values), fixture('store'));
  const { observations } = fixture('observed');
  assert.deepEqual(messages.observed({ worker: '9f86d081884c7d65', number: 1, dropped: 0, session: null, observations }), fixture('observed'));
  const { worker, number, dropped, session: before, observations: late } = fixture('observed-before');
  assert.deepEqual(messages.observed({ worker, number, dropped, session: before, observations: late }), fixture('observed-before'));
  assert.deepEqual(messages.choose({ ratio: 0.1, targets: ['https://shop.test/*'], resources: ['calls'] }), fixture('choose'));
  assert.deepEqual(messages.overlap(2), fixture('overlap'));
  assert.deepEqual(messages.replenish({ count: 32, traces: 8 }), fixture('replenish'));
});

test('counts stay within the limit of the host', () => {
  for (const [count, traces, expected] of [
    [5000, 5000, '"count":1000,"traces":1000'],
    [5000, 0, '"count":1000,"traces":0'],
    [0, 5000, '"count":0,"traces":1000'],
    [0, 1, '"count":0,"traces":1'],
  ]) {
    assert.equal(JSON.stringify(messages.replenish({ count: Number(count), traces: Number(traces) })), `{"v":1,"type":"replenish",${expected}}`);
  }
});

for (const name of ['session', 'contexts', 'received', 'overlapped', 'test', 'exporter', 'settings', 'error', 'error-refused', 'error-batch']) {
  test(`the fixture ${name} is accepted`, () => assert.deepEqual(messages.read(fixture(name)), { message: fixture(name), fault: null }));
}

for (const mode of ['auto', 'lightweight', 'detailed']) {
  test(`the mode ${mode} is accepted`, () => {
    const message = { ...fixture('session'), mode };
    assert.deepEqual(messages.read(message), { message, fault: null });
  });
}

test('armed carries the mode', () => {
  assert.deepEqual(messages.armed('lightweight'), { ...fixture('armed'), mode: 'lightweight' });
});

test('unknown fields are ignored', () => {
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
  ['no word on export', { ...fixture('session'), exports: undefined }, /session message/],
  ['a test without a trace id', { ...fixture('test'), test: { ...fixture('test').test, traceId: '' } }, /test message/],
  ['no session', { ...fixture('session'), session: null }, /session message/],
  ['a trace id of zeros', { ...fixture('session'), session: { ...session, traceId: '0'.repeat(32) } }, /session message/],
  ['a span id in capitals', { v: 1, type: 'contexts', contexts: [{ spanId: 'E457B5A2E4D86BD1', flags: '01' }], traces: [] }, /contexts message/],
  ['flags of one digit', { v: 1, type: 'contexts', contexts: [{ spanId: 'e457b5a2e4d86bd1', flags: '1' }], traces: [] }, /contexts message/],
  ['contexts and no traces', { v: 1, type: 'contexts', contexts: [] }, /contexts message/],
  ['a trace without a trace id', { v: 1, type: 'contexts', contexts: [], traces: [{ spanId: 'e457b5a2e4d86bd1', flags: '01' }] }, /contexts message/],
  ['a session and no traces', { ...fixture('session'), traces: undefined }, /session message/],
  ['a session and no propagation', { ...fixture('session'), propagation: undefined }, /session message/],
  ['no configured resources', { ...fixture('session'), configured: { ...fixture('session').configured, resources: undefined } }, /session message/],
  ['a batch without a worker', { v: 1, type: 'received', number: 1 }, /received message/],
  ['a batch without a number', { ...fixture('received'), number: '1' }, /received message/],
  ['settings without a list', { ...fixture('settings'), settings: {} }, /settings message/],
  ['a setting of an unknown kind', { ...fixture('settings'), settings: [{ ...fixture('settings').settings[0], kind: 'number' }] }, /settings message/],
  ['a stored value that is a number', { ...fixture('settings'), settings: [{ ...fixture('settings').settings[0], stored: 5 }] }, /settings message/],
  ['an error without a text', { v: 1, type: 'error', code: 'invalid' }, /error message/],
];

/** @type {Record<string, unknown[]>} invalid values by the fields of `propagation` */
const UNUSABLE_PROPAGATION = {
  propagators: ['b3', [1]],
  sampler: [null, { ratio: '1', parentBased: true }, { ratio: 1, parentBased: 1 }],
  samplePer: ['tab'],
  scope: ['request'],
  joined: [null, 'true', 0],
  windowPerPage: [null, 'true', 0],
  randomFlag: [1],
  existing: ['merge'],
  tracestate: [null],
  baggage: [null],
  targets: ['x', [null]],
  exclude: [{}, [/x/]],
  collector: ['http://a.test/', [null]],
  domains: ['shop.test', [null]],
  resources: ['image', [1]],
  otherResources: ['all', true],
  incognito: ['off', null],
};
test('every field of the propagation is checked', () => {
  const { propagation } = fixture('session');
  assert.deepEqual(Object.keys(propagation).sort(), Object.keys(UNUSABLE_PROPAGATION).sort());
  for (const [field, values] of Object.entries(UNUSABLE_PROPAGATION)) {
    // Hosts of an earlier version do not send this.
    const missing = ['collector', 'incognito', 'joined', 'windowPerPage'].includes(field) ? [] : [undefined];
    for (const value of [...missing, ...values]) {
      const message = { ...fixture('session'), propagation: { ...propagation, [field]: value } };
      assert.match(messages.read(message).fault ?? '', /session message/, `${field}: ${JSON.stringify(value)}`);
    }
  }
});

for (const [why, value, fault] of UNUSABLE) {
  test(`a message with ${why} is refused`, () => assert.match(messages.read(value).fault ?? '', fault));
}

/** Makes the browser describe itself differently. @param {object} changes */
const pretend = (changes) => Object.defineProperty(globalThis, 'navigator', { value: { ...NAVIGATOR, ...changes }, configurable: true });

test('the browser is described as it describes itself', () => {
  const { userAgent } = NAVIGATOR;
  assert.deepEqual(messages.describeBrowser(), { userAgent, brands: ['Chromium 156'], platform: 'Linux', mobile: false, language: 'en-US' });
});

for (const brand of ['Not?A_Brand', 'Not A;Brand', 'Not)A;Brand', ' Not A Brand', 'NotABrand']) {
  test(`${brand} is not taken for a brand`, () => {
    const brands = [{ brand, version: '99' }, { brand: 'Google Chrome', version: '156' }];
    pretend({ userAgentData: { brands, platform: 'Android', mobile: true } });
    const { brands: named, platform, mobile } = messages.describeBrowser();
    assert.deepEqual({ named, platform, mobile }, { named: ['Google Chrome 156'], platform: 'Android', mobile: true });
  });
}

for (const userAgentData of [undefined, {}]) {
  test(`a browser with ${userAgentData === undefined ? 'no' : 'empty'} userAgentData is described`, () => {
    pretend({ userAgentData });
    const { brands, platform, mobile } = messages.describeBrowser();
    assert.deepEqual({ brands, platform, mobile }, { brands: [], platform: '', mobile: false });
  });
}

for (const [name, field, values] of /** @type {[string, string, string[]][]} */ ([
  ['session', 'propagation.samplePer', ['trace', 'navigation']],
  ['session', 'propagation.scope', ['session', 'context', 'tab', 'navigation']],
  ['session', 'propagation.existing', ['override', 'keep']],
  ['session', 'propagation.otherResources', ['session', 'none']],
  ['settings', 'settings.0.kind', ['text', 'list', 'switch', 'choice']],
])) {
  test(`the values of ${field} are accepted, and no others`, () => {
    const path = field.split('.');
    const last = path.pop() ?? '';
    /** @param {unknown} value */
    const fault = (value) => {
      const message = fixture(name);
      path.reduce((object, key) => object[key], message)[last] = value;
      return messages.read(message).fault;
    };
    assert.deepEqual(values.map(fault), values.map(() => null));
    for (const wrong of ['', 'other', null, 1]) assert.match(fault(wrong) ?? '', /^a \w+ message has a field/);
  });
}

for (const [name, fields] of /** @type {[string, string[]][]} */ ([
  ['exporter', ['exported', 'kept', 'dropped', 'problem']],
  ['overlapped', ['opened', 'kept', 'closed']],
  ['test', ['test']],
])) {
  test(`every field of ${name} is checked`, () => {
    for (const field of fields) {
      for (const wrong of [undefined, 1.5, ['x']]) assert.notEqual(messages.read({ ...fixture(name), [field]: wrong }).fault, null, field);
    }
  });
}

test('there is no test between two tests', () => {
  assert.equal(messages.read({ ...fixture('test'), test: null }).fault, null);
});

test('names to redact are a list of texts, or missing', () => {
  const fault = (/** @type {unknown} */ redact) => messages.read({ ...fixture('session'), redact }).fault;
  assert.deepEqual([undefined, [], ['sid']].map(fault), [null, null, null]);
  for (const wrong of [null, 'sid', [1]]) assert.match(fault(wrong) ?? '', /session message/);
});

test('a type that only reads like one is unknown', () => {
  assert.equal(messages.read({ ...fixture('exporter'), type: ['exporter'] }).fault, 'a message has an unknown type ["exporter"]');
});
