/**
 * Lightweight mode: session rules alone carry the contexts, changed once per navigation.
 */

import { attempt } from '../attempt.js';
import { Arm } from './arm.js';
import { contextsFrom, rulesFor } from './rules.js';
import { Tabs } from './tabs.js';

/** @import { SessionContext } from '../channel/messages.js' */
/** @import { Session } from '../context/session.js' */
/** @import { Change } from './tabs.js' */

/** @type {`${chrome.windows.WindowType}`[]} */
const WINDOW_TYPES = ['normal', 'popup', 'panel', 'app', 'devtools'];

/** Keeps the rules in step with the tabs. */
export class Lightweight {
  #session;
  #arm;
  #tabs;
  /** Sorted as the browser hands them back, so that rules compare equal after a restart. */
  #allTypes = Object.values(chrome.declarativeNetRequest.ResourceType).sort();

  /**
   * @param {Session} session
   * @param {Arm} arm
   * @param {Tabs} tabs
   */
  constructor(session, arm, tabs) {
    this.#session = session;
    this.#arm = arm;
    this.#tabs = tabs;
  }

  /**
   * Arms the rules for the session and the tabs that exist. After a restart of the worker it goes on from the rules in force.
   *
   * @param {Session} session
   * @returns {Promise<Lightweight>}
   */
  static async start(session) {
    const arm = new Arm();
    const reading = arm.inForce().then(contextsFrom);
    const opening = session.open(reading.then((inForce) => inForce?.session ?? null));
    const [inForce, open] = await Promise.all([reading, openIds(), opening]);
    const lightweight = new Lightweight(session, arm, new Tabs(session.context, () => session.take(), inForce));
    lightweight.opened(...open);
    await lightweight.#follow();
    return lightweight;
  }

  /** Replaces the rules when a host that came late has named the session. */
  renew() {
    if (this.#session.renew()) this.#change(this.#tabs.renew(this.#session.context));
  }

  /**
   * @param {number[]} tabIds
   * @param {number[]} windowIds
   */
  opened(tabIds, windowIds) {
    this.#change(this.#tabs.opened(tabIds, windowIds));
  }

  /** @param {number} tabId */
  closed(tabId) {
    this.#change(this.#tabs.closed(tabId));
  }

  /**
   * @param {number} tabId
   * @param {string} requestId
   * @param {SessionContext | null} sent the context that the request carries
   */
  requested(tabId, requestId, sent) {
    this.#session.use();
    this.#change(this.#tabs.requested(tabId, requestId, sent?.traceId === this.#session.context.traceId ? sent : null));
  }

  /**
   * @param {number} tabId
   * @param {string} requestId
   * @param {string | null} url
   */
  responded(tabId, requestId, url) {
    this.#change(this.#tabs.responded(tabId, requestId, url));
  }

  /**
   * @param {number} tabId
   * @param {string} requestId
   */
  failed(tabId, requestId) {
    this.#change(this.#tabs.failed(tabId, requestId));
  }

  /**
   * @param {number} tabId
   * @param {string} url
   */
  committed(tabId, url) {
    this.#change(this.#tabs.committed(tabId, url));
  }

  /**
   * @param {number} tabId
   * @param {string} url
   * @param {boolean} errorPage
   */
  abandoned(tabId, url, errorPage) {
    this.#change(this.#tabs.abandoned(tabId, url, errorPage));
  }

  /**
   * Passes on what a change reports, and puts the rules in force when they must follow.
   *
   * @param {Change} change
   */
  #change({ arm, reports }) {
    if (arm) void this.#follow();
    for (const report of reports) this.#session.report(report);
  }

  async #follow() {
    const contexts = this.#tabs.contexts();
    if (await this.#arm.wish(rulesFor(contexts, this.#allTypes))) this.#session.armed(contexts.session);
  }
}

/** @returns {Promise<[tabIds: number[], windowIds: number[]]>} */
async function openIds() {
  const [tabs, windows] = await Promise.all([
    attempt('listing tabs', async () => chrome.tabs.query({}), []),
    attempt('listing windows', async () => chrome.windows.getAll({ windowTypes: WINDOW_TYPES }), []),
  ]);
  return [tabs.flatMap(({ id }) => id ?? []), windows.flatMap(({ id }) => id ?? [])];
}
