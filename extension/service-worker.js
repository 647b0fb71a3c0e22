/**
 * Wires the parts together. Everything here runs synchronously at each start of the worker, so that it is woken for every event.
 */

import { Session } from './context/session.js';
import { Lightweight } from './headers/lightweight.js';
import { watchNavigations } from './observe/navigations.js';

/** Any call to the browser counts as activity, which keeps the worker alive where no host does. */
const HEARTBEAT = 20_000;

const session = new Session(() => void ready.then((lightweight) => lightweight.renew()));
const ready = Lightweight.start(session);

watchNavigations(ready);
setInterval(() => void chrome.runtime.getPlatformInfo(), HEARTBEAT);
