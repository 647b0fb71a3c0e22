import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { EVERYTHING } from '../../extension/context/propagation.js';
import { EXPOSE, INJECT, PAGE, SESSION, TAB, contextIn, navigation, request, working } from './support/injector.js';
import { propagating } from './support/session.js';

test('the injector is asked about what its filter selects', () => {
  const { fire, filters, blocking, injector, session, tabs, traces, started } = working();
  session.propagation = propagating({ domains: ['example.test'], resources: ['main_frame', 'script'] });
  mock.timers.enable({ apis: ['setTimeout'] });
  injector.start({ session, tabs, traces });
  injector.removeReplaced();
  mock.timers.tick(100);
  assert.deepEqual([filters(INJECT), blocking()], [[session.propagation.filter], [INJECT, EXPOSE]]);
  assert.equal(contextIn(fire(INJECT, request()).requestHeaders).traceId, SESSION.traceId);
  for (const details of [{ type: 'image' }, { url: 'https://elsewhere.test/' }]) assert.equal(fire(INJECT, request(details)), undefined);
  injector.listen();
  assert.deepEqual(filters(INJECT), [session.propagation.filter, EVERYTHING], 'the old listener stays until rules are in force');
  const before = started.mock.callCount();
  assert.ok(contextIn(fire(INJECT, request({ requestId: '5' })).requestHeaders));
  assert.equal(started.mock.callCount(), before + 1, 'a request that both are asked about has one span');
  injector.removeReplaced();
  assert.equal(filters(INJECT).length, 2, 'requests may be waiting for the old one');
  mock.timers.tick(100);
  assert.deepEqual(filters(INJECT), [EVERYTHING]);
  injector.listen(session.propagation.filter);
  injector.stop();
  assert.deepEqual([filters(INJECT), blocking()], [[], []]);
  mock.timers.reset();
});

test('each request is answered once while listeners are replaced, then by every listener', () => {
  const { fire, filters, injector, started } = working();
  const narrow = { urls: ['https://example.test/*'] };
  const times = (/** @type {string} */ requestId) => {
    const before = started.mock.callCount();
    fire(INJECT, request({ requestId }));
    fire(INJECT, request({ requestId }));
    return started.mock.callCount() - before;
  };
  mock.timers.enable({ apis: ['setTimeout'] });
  injector.listen();
  assert.equal(times('1'), 2, 'the same request may come again, with credentials');
  injector.listen(narrow);
  injector.removeReplaced();
  mock.timers.tick(50);
  injector.listen();
  injector.removeReplaced();
  mock.timers.tick(50);
  assert.deepEqual(filters(INJECT), [narrow, EVERYTHING]);
  assert.equal(times('2'), 1, 'one of the replaced listeners is still there');
  mock.timers.tick(50);
  assert.deepEqual(filters(INJECT), [EVERYTHING]);
  assert.equal(times('3'), 2);
  mock.timers.reset();
});

for (const existing of /** @type {const} */ (['override', 'keep'])) {
  test(`a request that is not sampled is ignored: ${existing}`, () => {
    const { inject, fire, tabs, started, ignore } = working({ existing });
    tabs.requested(TAB, '0', { spanId: 'c'.repeat(16), flags: '02' });
    tabs.responded(TAB, '0', PAGE);
    assert.equal(contextIn(inject(request({ requestId: '2' }))).flags, '02', 'it carries its context');
    fire(INJECT, request({ requestId: '3', requestHeaders: [{ name: 'traceparent', value: `00-${'f'.repeat(32)}-${'f'.repeat(16)}-01` }] }));
    assert.equal(started.mock.callCount(), 0);
    assert.deepEqual(ignore.mock.calls.map(({ arguments: [requestId] }) => requestId), ['2', '3']);
    inject(navigation({ requestId: '4' }));
    assert.equal(started.mock.callCount(), 1);
  });
}
