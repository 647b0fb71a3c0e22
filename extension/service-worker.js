/**
 * Wires the parts together. Everything here runs synchronously at each start of the worker, so that every event wakes it.
 */

import { Host } from './channel/host.js';
import { EVERYTHING } from './context/propagation.js';
import { Session, fallbackSession } from './context/session.js';
import { Injector } from './headers/injector.js';
import { startHeaders } from './headers/start.js';
import { Documents } from './observe/documents.js';
import { readK6Spans, watchK6Spans } from './observe/k6-spans.js';
import { NavigationStarts, watchNavigations } from './observe/navigations.js';
import { observeOpenDocuments } from './observe/open-documents.js';
import { Outbox } from './observe/outbox.js';
import { Requests } from './observe/requests.js';
import { measureWebVitals, watchWebVitals } from './observe/web-vitals.js';
import { Choices } from './pages/choices.js';
import { History } from './pages/history.js';
import { servePages } from './pages/serve.js';
import { Status } from './pages/status.js';

/** @import { NavigationTracker } from './headers/tracker.js' */

/** Interval between calls to the browser in milliseconds. A call keeps the worker alive, as an open port to the host does too. */
const HEARTBEAT = 20_000;

/** Whether a worker ran before this one, in this browser or an earlier one of the profile. Requests may be waiting for an answer. */
const restarted = 'serviceWorker' in self && /** @type {ServiceWorker} */ (self.serviceWorker).state === 'activated';

const fallback = fallbackSession();
const history = new History();
const outbox = new Outbox(history);
const session = new Session(fallback, { taken: () => host.replenish(), began: (traceId) => history.begin(traceId) });
outbox.awaitTabs(session.incognito);
const renew = () => void ready.then(({ mode }) => mode.renew());
const host = new Host(session, outbox, {
  renewed: renew,
  changed: () => status.show(),
  contextsKept: (answer) => void ready.then(({ navigations: tracker }) => tracker.contextsKept(answer)),
  testChanged: () => void ready.then(({ navigations: tracker }) => tracker.testChanged()),
  forgotten: (message) => void choices.repeat(message),
  measurePages: measureWebVitals,
  readK6Spans,
});
const choices = new Choices(session, host, () => {
  renew();
  status.show();
});
const status = new Status(session, host);
host.connect();
const documents = new Documents();
const starts = new NavigationStarts();
const requests = new Requests(outbox, starts, session);
const injector = new Injector(fallback, documents, requests);
if (restarted) {
  // Until the record is read, nothing is known of modes, targets and sampling, so everything is observed.
  injector.listen();
  requests.listen(EVERYTHING);
  requests.sampled();
}
/** @type {(tracker: NavigationTracker) => void} */
let track = () => {};
const navigations = watchNavigations(new Promise((resolve) => (track = resolve)), { outbox, documents, starts });
const ready = startHeaders(session, host, { injector, navigations }, { outbox, documents, requests });
const known = ready.then((parts) => {
  track(parts.navigations);
  // Events about tabs have waited for the tracker, which handles them before this.
  queueMicrotask(() => outbox.tabsKnown());
  return observeOpenDocuments(parts.navigations, { outbox, documents });
});

const observers = { outbox, documents, incognito: session.incognito, known };
watchWebVitals(observers);
watchK6Spans(observers);
servePages(ready, { session, host, choices, status, history });
setInterval(() => void chrome.runtime.getPlatformInfo(), HEARTBEAT);
