/**
 * Wires the parts together. Everything here runs synchronously at each start of the worker, so that it is woken for every event.
 */

import { Session } from './context/session.js';
import { Injector } from './headers/injector.js';
import { Modes } from './headers/modes.js';
import { watchNavigations } from './observe/navigations.js';

/** Any call to the browser counts as activity, which keeps the worker alive where no host does. */
const HEARTBEAT = 20_000;

/** Whether a worker ran before this one. It may have left requests that wait for an answer. */
const restarted = 'serviceWorker' in self && /** @type {ServiceWorker} */ (self.serviceWorker).state === 'activated';

const session = new Session(() => void ready.then((modes) => modes.renew()));
const injector = new Injector();
if (restarted) injector.listen();
const ready = Modes.start(session, injector);

watchNavigations(ready);
setInterval(() => void chrome.runtime.getPlatformInfo(), HEARTBEAT);
