import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { MAX_URL_LENGTH } from '../../extension/observe/details.js';
import { BATCH_DELAY, MAX_IN_BATCH, MAX_IN_FLIGHT, MAX_KEPT, Outbox } from '../../extension/observe/outbox.js';
import { isSpanId } from '../../extension/context/traceparent.js';

/** The most that the host takes in one frame. */
const MAX_FRAME_LENGTH = 1024 * 1024;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
});

/** @param {number} time */
const observation = (time) => ({ what: /** @type {const} */ ('document-parsed'), time, spanId: '1'.repeat(16) });

/** Creates an outbox, and a host that records the frames. */
function begin() {
  const outbox = new Outbox();
  /** @type {any[]} */
  const sent = [];
  const open = () => outbox.open((frame) => void sent.push(frame));
  /** @param {number} from @param {number} to */
  const observe = (from, to = from) => {
    for (let time = from; time <= to; time += 1) outbox.observe(observation(time));
  };
  /** Takes the batches sent so far, each as its number and the times of its observations. */
  const batches = () =>
    sent.splice(0).map(({ number, observations }) => [number, ...observations.map((/** @type {any} */ { time }) => time)]);
  return { outbox, sent, open, observe, batches };
}

/** The same, with three sent batches that are not acknowledged. */
function withThreeSent() {
  const begun = begin();
  begun.open();
  for (const time of [1, 2, 3]) {
    begun.observe(time);
    mock.timers.tick(BATCH_DELAY);
  }
  const [{ worker }] = begun.sent.splice(0);
  return { ...begun, worker };
}

test('what a client may close its browser after is sent at once, with what was observed before', () => {
  const { outbox, open, observe, batches } = begin();
  open();
  observe(1);
  outbox.observe({ what: 'document-loaded', time: 2, spanId: '1'.repeat(16) });
  assert.deepEqual(batches(), [[1, 1, 2]]);
  observe(3);
  outbox.observe({ what: 'tab-closed', time: 4, tabId: 1 });
  assert.deepEqual(batches(), [[2, 3, 4]]);
  mock.timers.tick(BATCH_DELAY);
  assert.deepEqual(batches(), []);
});

test('observations within the delay form one batch', () => {
  const { sent, open, observe, batches } = begin();
  open();
  observe(1);
  mock.timers.tick(BATCH_DELAY - 1);
  observe(2, 3);
  assert.equal(sent.length, 0);
  mock.timers.tick(1);
  const [{ worker }] = sent;
  assert.ok(isSpanId(worker));
  assert.deepEqual(sent, [
    { v: 1, type: 'observed', worker, number: 1, dropped: 0, observations: [observation(1), observation(2), observation(3)] },
  ]);
  batches();
  mock.timers.tick(1000);
  assert.equal(sent.length, 0);
  observe(4);
  mock.timers.tick(BATCH_DELAY);
  assert.deepEqual(batches(), [[2, 4]]);
});

test('many observations at once form several batches', () => {
  const { sent, open, observe } = begin();
  open();
  observe(1, 2 * MAX_IN_BATCH + 1);
  mock.timers.tick(BATCH_DELAY);
  const lengths = sent.map(({ number, observations }) => [number, observations.length]);
  assert.deepEqual(lengths, [[1, MAX_IN_BATCH], [2, MAX_IN_BATCH], [3, 1]]);
});

test('a batch of the longest addresses fits into a frame', () => {
  const { outbox, sent, open } = begin();
  open();
  const id = 'f'.repeat(16);
  for (let n = 0; n < MAX_IN_BATCH; n += 1) {
    outbox.observe({
      what: 'request-started',
      time: 1764211873000.123,
      request: '18446744073709551615',
      spanId: id,
      parent: id,
      traceId: id + id,
      method: 'M'.repeat(64),
      url: '\\'.repeat(MAX_URL_LENGTH),
      resource: 'webtransport',
      navigation: { tabId: 2147483647, started: 1764211873000.123 },
      size: 999_999_999_999_999,
    });
  }
  mock.timers.tick(BATCH_DELAY);
  assert.equal(sent.length, 1);
  assert.ok(Buffer.byteLength(JSON.stringify(sent[0])) < MAX_FRAME_LENGTH);
});

test('nothing is sent before a host continues the session', () => {
  const { open, observe, batches } = begin();
  observe(1);
  mock.timers.tick(1000);
  observe(2);
  mock.timers.tick(1000);
  observe(3);
  open();
  assert.deepEqual(batches(), [[1, 1], [2, 2]]);
  mock.timers.tick(BATCH_DELAY);
  assert.deepEqual(batches(), [[3, 3]]);
});

test('unacknowledged batches are sent again to the next host', () => {
  const { outbox, open, observe, batches, worker } = withThreeSent();
  outbox.received({ type: 'received', worker, number: 1 });
  outbox.close();
  observe(4);
  mock.timers.tick(BATCH_DELAY);
  assert.deepEqual(batches(), []);
  open();
  assert.deepEqual(batches(), [[2, 2], [3, 3], [4, 4]]);
  open();
  assert.deepEqual(batches(), [], 'the same host');
});

test('an acknowledgement covers all batches up to its number', () => {
  const { outbox, open, batches, worker } = withThreeSent();
  outbox.received({ type: 'received', worker, number: 2 });
  outbox.received({ type: 'received', worker, number: 1 });
  outbox.close();
  open();
  assert.deepEqual(batches(), [[3, 3]]);
  outbox.received({ type: 'received', worker, number: 1000 });
  outbox.close();
  open();
  assert.deepEqual(batches(), []);
});

test('an acknowledgement for another worker is ignored', () => {
  const { outbox, open, observe, batches } = begin();
  open();
  observe(1);
  mock.timers.tick(BATCH_DELAY);
  outbox.received({ type: 'received', worker: '0'.repeat(15) + '1', number: 1 });
  batches();
  outbox.close();
  open();
  assert.deepEqual(batches(), [[1, 1]]);
});

test('each worker has its own id', () => {
  const names = [begin(), begin()].map(({ sent, open, observe }) => {
    open();
    observe(1);
    mock.timers.tick(BATCH_DELAY);
    return sent[0].worker;
  });
  assert.equal(new Set(names).size, 2);
});

/**
 * Acknowledges the latest batch again and again, until no more are sent. Returns all of them.
 *
 * @param {Pick<ReturnType<typeof begin>, 'outbox' | 'sent'>} begun
 */
function acknowledged({ outbox, sent }) {
  const taken = [];
  while (sent.length > 0) {
    const { worker, number } = sent.at(-1);
    taken.push(...sent.splice(0));
    outbox.received({ type: 'received', worker, number });
  }
  return taken;
}

test('a host that acknowledges nothing is sent a limited number', () => {
  const { outbox, sent, open, observe } = begin();
  open();
  const COUNT = 3 * MAX_IN_FLIGHT;
  for (let n = 1; n <= COUNT; n += 1) {
    observe(n);
    mock.timers.tick(BATCH_DELAY);
  }
  assert.equal(sent.length, MAX_IN_FLIGHT);
  outbox.received({ type: 'received', worker: sent[0].worker, number: 2 });
  assert.deepEqual(sent.slice(MAX_IN_FLIGHT).map(({ number }) => number), [MAX_IN_FLIGHT + 1, MAX_IN_FLIGHT + 2], 'each makes room for one');
  outbox.close();
  sent.splice(0);
  open();
  assert.deepEqual([sent.length, sent[0].number], [MAX_IN_FLIGHT, 3], 'the next host likewise');
  const taken = acknowledged({ outbox, sent });
  assert.deepEqual(taken.map(({ number }) => number), Array.from({ length: COUNT - 2 }, (_, n) => n + 3), 'nothing is lost');
  assert.ok(taken.every(({ dropped }) => dropped === 0));
});

test('a batch that the host refuses makes room and is lost', () => {
  const { outbox, sent, open, observe } = begin();
  open();
  for (let n = 1; n <= 2 * MAX_IN_FLIGHT; n += 1) {
    observe(n);
    mock.timers.tick(BATCH_DELAY);
  }
  for (const number of [2, 2, MAX_IN_FLIGHT + 2, 3 * MAX_IN_FLIGHT]) outbox.refused(number);
  assert.deepEqual(sent.slice(MAX_IN_FLIGHT).map(({ number, dropped }) => [number, dropped]), [[MAX_IN_FLIGHT + 1, 1]], 'only what was sent can be refused');
  outbox.close();
  sent.splice(0);
  open();
  assert.deepEqual(sent.slice(0, 2).map(({ number }) => number), [1, 3], 'the next host does not get it');
});

test('without a host the oldest batches are dropped and counted', () => {
  const { outbox, sent, open, observe } = begin();
  observe(1, 3);
  mock.timers.tick(BATCH_DELAY);
  observe(4, MAX_KEPT + 1);
  mock.timers.tick(BATCH_DELAY);
  open();
  assert.equal(sent[0].number, 2);
  const taken = acknowledged({ outbox, sent });
  assert.ok(taken.every(({ dropped }) => dropped === 3));
  assert.equal(taken.flatMap(({ observations }) => observations).length, MAX_KEPT - 2);
  observe(0);
  mock.timers.tick(BATCH_DELAY);
  assert.equal(sent[0].dropped, 3);
});

test('of a host that is stopped, what is sent is no loss', () => {
  const { outbox, sent, open, observe } = begin();
  open();
  observe(1, MAX_KEPT);
  mock.timers.tick(BATCH_DELAY);
  observe(MAX_KEPT + 1);
  mock.timers.tick(BATCH_DELAY);
  const [first, ...others] = acknowledged({ outbox, sent });
  assert.deepEqual([first.number, others.at(-1).dropped], [1, MAX_IN_BATCH]);
  const numbers = others.map(({ number }) => number);
  assert.ok(!numbers.includes(MAX_IN_FLIGHT + 1), 'the oldest that was not sent');
  assert.equal(others.length + 1, MAX_KEPT / MAX_IN_BATCH);
});

test('acknowledged batches make room', () => {
  const { outbox, sent, open, observe } = begin();
  open();
  for (let n = 0; n < 2; n += 1) {
    observe(1, MAX_KEPT);
    mock.timers.tick(BATCH_DELAY);
    assert.ok(acknowledged({ outbox, sent }).every(({ dropped }) => dropped === 0));
  }
});

test('until the tabs are known, nothing is sent or shown', () => {
  const shown = /** @type {string[]} */ ([]);
  const outbox = new Outbox({ observe: ({ what }) => void shown.push(what) });
  const sent = /** @type {any[]} */ ([]);
  const hidden = 7;
  outbox.awaitTabs({ observes: (tabId) => tabId !== hidden });
  outbox.open((frame) => void sent.push(frame));
  outbox.observe({ what: 'tab-closed', time: 1, tabId: 6 }, 6);
  outbox.observe({ what: 'tab-closed', time: 2, tabId: hidden }, hidden);
  mock.timers.tick(BATCH_DELAY);
  outbox.observe({ what: 'document-parsed', time: 3, spanId: '1'.repeat(16) });
  assert.deepEqual([sent, shown], [[], []]);
  outbox.tabsKnown();
  outbox.observe({ what: 'document-loaded', time: 4, spanId: '1'.repeat(16) });
  mock.timers.tick(BATCH_DELAY);
  assert.deepEqual(sent.flatMap(({ observations }) => observations.map((/** @type {any} */ { time }) => time)), [1, 3, 4]);
  assert.deepEqual(shown, ['tab-closed', 'document-parsed', 'document-loaded']);
});

test('while the tabs are not known, the oldest observations are dropped', () => {
  const { outbox, sent, open, observe } = begin();
  outbox.awaitTabs({ observes: () => true });
  open();
  for (let batch = 0; batch <= MAX_KEPT / MAX_IN_BATCH; batch += 1) {
    observe(batch * MAX_IN_BATCH, (batch + 1) * MAX_IN_BATCH - 1);
    mock.timers.tick(BATCH_DELAY);
  }
  outbox.tabsKnown();
  assert.equal(sent.length, MAX_IN_FLIGHT);
  assert.deepEqual([sent[0].dropped, sent[0].observations[0].time], [MAX_IN_BATCH, MAX_IN_BATCH]);
});
