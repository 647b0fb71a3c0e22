/**
 * Lightweight mode: session rules alone carry the contexts, changed once per navigation.
 */

import { Arm } from './arm.js';
import { contextsFrom, rulesFor } from './rules.js';
import { Tabs } from './tabs.js';

/** @import { SessionContext } from '../channel/messages.js' */
/** @import { Session } from '../context/session.js' */
/** @import { Contexts } from './rules.js' */
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
    const [rules, open] = await Promise.all([arm.inForce(), openIds(), session.open()]);
    const inForce = contextsFrom(rules);
    const resumed = inForce?.session.traceId === session.context.traceId ? inForce : null;
    const lightweight = new Lightweight(session, arm, tabsOf(session, resumed));
    lightweight.opened(...open);
    await lightweight.#follow();
    return lightweight;
  }

  /** Starts over with the context that the session has now. */
  async renew() {
    this.#tabs = tabsOf(this.#session, null);
    this.opened(...(await openIds()));
    await this.#follow();
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
    this.#tabs.requested(tabId, requestId, sent?.traceId === this.#session.context.traceId ? sent : null);
  }

  /**
   * @param {number} tabId
   * @param {string} requestId
   * @param {boolean} document
   */
  responded(tabId, requestId, document) {
    this.#change(this.#tabs.responded(tabId, requestId, document));
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

  /** @param {number} tabId */
  abandoned(tabId) {
    this.#change(this.#tabs.abandoned(tabId));
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
    if (await this.#arm.wish(rulesFor(this.#tabs.contexts(), this.#allTypes))) this.#session.armed();
  }
}

/**
 * @param {Session} session
 * @param {Contexts | null} inForce
 * @returns {Tabs}
 */
const tabsOf = (session, inForce) => new Tabs(session.context, () => session.take(), inForce);

/** @returns {Promise<[tabIds: number[], windowIds: number[]]>} */
async function openIds() {
  const [tabs, windows] = await Promise.all([chrome.tabs.query({}), chrome.windows.getAll({ windowTypes: WINDOW_TYPES })]);
  return [tabs.flatMap(({ id }) => id ?? []), windows.flatMap(({ id }) => id ?? [])];
}
