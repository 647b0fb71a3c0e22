/**
 * Wires the parts together. Everything here runs synchronously at each start of the worker, so that it is woken for every event.
 */

import { Session, ownSession } from './context/session.js';
import { Injector } from './headers/injector.js';
import { Modes } from './headers/modes.js';
import { Documents } from './observe/documents.js';
import { NavigationStarts, watchNavigations } from './observe/navigations.js';
import { Outbox } from './observe/outbox.js';
import { Requests } from './observe/requests.js';
import { measureWebVitals, watchWebVitals } from './observe/web-vitals.js';
import { History } from './pages/history.js';
import { servePages } from './pages/serve.js';

/** Any call to the browser counts as activity, which keeps the worker alive, as an open port to the host does too. */
const HEARTBEAT = 20_000;

/** Whether a worker ran before this one, in this browser or in one before it on the same profile. Requests may be waiting for an answer. */
const restarted = 'serviceWorker' in self && /** @type {ServiceWorker} */ (self.serviceWorker).state === 'activated';

const own = ownSession();
const history = new History();
const outbox = new Outbox(history);
const session = new Session(() => void ready.then((modes) => modes.renew()), own, outbox, measureWebVitals, history);
const documents = new Documents();
const starts = new NavigationStarts();
const requests = new Requests(outbox, starts, session);
const injector = new Injector(own, documents, requests);
if (restarted) injector.listen();
const ready = Modes.start(session, injector, requests, outbox, documents);

watchNavigations(ready, { outbox, documents, starts });
watchWebVitals(outbox, documents);
servePages(ready, session, history);
setInterval(() => void chrome.runtime.getPlatformInfo(), HEARTBEAT);
