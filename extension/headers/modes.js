/**
 * Puts headers on requests, in one of two modes:
 *
 * - lightweight: session rules alone carry the contexts, changed once per navigation;
 * - detailed: blocking listeners put a span id of its own on every request, and one rule that matches nothing keeps the record of the
 *   session. A rule that matched would win over a listener.
 */

import { attempt } from '../attempt.js';
import { Propagation } from '../context/propagation.js';
import { isSampled } from '../context/propagators.js';
import { Traces } from '../context/traces.js';
import { Documents } from '../observe/documents.js';
import { Arm } from './arm.js';
import { cutUrl } from '../observe/details.js';
import { inForceBy, mostSlots, pausedRules, recordOf, rulesFor } from './rules.js';
import { MOST_SLOTS, Tabs } from './tabs.js';

/** @import { Mode } from '../channel/messages.js' */
/** @import { Carried } from '../context/propagators.js' */
/** @import { Session } from '../context/session.js' */
/** @import { NavigationContext } from '../context/traces.js' */
/** @import { Outbox } from '../observe/outbox.js' */
/** @import { Requests } from '../observe/requests.js' */
/** @import { Injector } from './injector.js' */
/** @import { Change } from './tabs.js' */

/** @type {`${chrome.windows.WindowType}`[]} */
const WINDOW_TYPES = ['normal', 'popup', 'panel', 'app', 'devtools'];

/** Follows the browser's events in the mode that is wanted and granted. */
export class Modes {
  #session;
  #injector;
  #requests;
  #arm;
  #tabs;
  #traces;
  #outbox;
  #documents;
  /** @type {Mode} */
  #mode = 'lightweight';
  /** Whether the browser lets listeners change requests. */
  #granted;
  /** @type {Mode | null} what the rules that a worker before this one left are for */
  #before;
  /** When the mode came into force, in milliseconds since the epoch. */
  #since = Infinity;
  /** Counts how often the mode was settled, so that an update for what was settled before is told apart. */
  #turn = 0;
  /** Sorted as the browser hands them back, so that rules compare equal after a restart. */
  #allTypes = Object.values(chrome.declarativeNetRequest.ResourceType).sort();
  /** How contexts were carried when the ones to come were made. */
  #propagation;

  /**
   * @param {Session} session
   * @param {Injector} injector
   * @param {Requests} requests
   * @param {Arm} arm
   * @param {Tabs} tabs
   * @param {Traces} traces
   * @param {Outbox} outbox
   * @param {Documents} documents
   * @param {boolean} granted
   * @param {Mode | null} before
   */
  constructor(session, injector, requests, arm, tabs, traces, outbox, documents, granted, before) {
    this.#session = session;
    this.#injector = injector;
    this.#requests = requests;
    this.#arm = arm;
    this.#tabs = tabs;
    this.#traces = traces;
    this.#outbox = outbox;
    this.#documents = documents;
    this.#granted = granted;
    this.#before = before;
    this.#propagation = session.propagation;
  }

  /**
   * Puts headers on the requests of the session and of the tabs that exist. After a restart of the worker it goes on from the rules in
   * force.
   *
   * @param {Session} session
   * @param {Injector} injector
   * @param {Requests} requests
   * @param {Outbox} outbox
   * @param {Documents} [documents]
   * @returns {Promise<Modes>}
   */
  static async start(session, injector, requests, outbox, documents = new Documents()) {
    const arm = new Arm();
    const reading = arm.inForce().then(inForceBy);
    // Requests may wait for a restarted worker: they get the session's trace as soon as it is known.
    void reading.then((inForce) => inForce !== null && injector.resume(inForce.session, new Propagation(inForce.propagation, inForce.kept?.paused)));
    const opening = session.open(reading);
    const [inForce, granted, [tabIds, windowIds]] = await Promise.all([reading, isGranted(), openIds(), opening]);
    const traces = new Traces(session, outbox);
    if (inForce?.contexts) traces.restore(inForce.contexts);
    const tabs = new Tabs(session.context, (tabId, previous) => traces.issue(tabId, previous), inForce?.contexts, traces);
    tabs.opened(tabIds, windowIds);
    const modes = new Modes(session, injector, requests, arm, tabs, traces, outbox, documents, granted, inForce?.mode ?? null);
    await modes.#settle();
    return modes;
  }

  /** Tells whether an address is traced. @param {string} url */
  isTarget(url) {
    return this.#traces.isTarget(url);
  }

  /** Reads the context that a request carries. @param {chrome.webRequest.HttpHeader[] | undefined} headers */
  carriedBy(headers) {
    return this.#session.propagation.extractAny(headers);
  }

  /** Takes up what a host that came late has decided: the session's name, the mode, how contexts are carried. */
  renew() {
    const before = this.#propagation;
    this.#propagation = this.#session.propagation;
    if (this.#session.renew()) {
      this.#traces.renew();
      this.#tabs.renew(this.#session.context);
    } else if (this.#propagation.settings !== before.settings) {
      // They were made as contexts were carried before.
      this.#tabs.refresh();
    }
    void this.#settle();
  }

  /** Begins a new trace: whatever starts after it is in that one, and what is under way stays in the one before. */
  async newTrace() {
    const open = await attempt('listing tabs', async () => chrome.tabs.query({}), []);
    const urls = new Map(open.flatMap(({ id, url = '' }) => (id === undefined ? [] : [[id, url]])));
    const before = this.#session.context;
    const live = new Set([...this.#tabs.live(), ...this.#documents.contexts()]);
    for (const context of live) {
      // What has no trace of its own would be in the session's, which is another one from now on.
      context.trace ??= { traceId: before.traceId, spanId: before.spanId, flags: before.flags, tracestate: this.#propagation.settings.tracestate };
    }
    const spans = [...live].map(({ spanId }) => spanId).filter((spanId) => !this.#traces.isClients(spanId));
    this.#outbox.endSession(before, this.#requests.underWay(), spans);
    this.#session.succeed();
    this.#propagation = this.#session.propagation;
    this.#traces.succeed(before);
    const documents = this.#tabs.succeed(this.#session.context, (tabId) => this.#isPage(urls.get(tabId) ?? ''));
    this.#documents.replaceContexts(new Map(documents.map(({ before: { spanId }, context }) => [spanId, context])));
    for (const { tabId, context } of documents) this.#tellSuccessor(tabId, urls.get(tabId) ?? '', context);
    await this.#settle();
  }

  /**
   * Finds the context that a document goes on with that has just come of a navigation: its own, unless a new trace has begun meanwhile.
   *
   * @param {number} tabId
   * @param {string} url
   * @param {NavigationContext} context
   * @returns {NavigationContext}
   */
  continued(tabId, url, context) {
    if (!this.#outbox.isEarlier(context.spanId)) return context;
    const successor = this.#tabs.replace(tabId, context);
    if (successor === null) return context;
    this.#tellSuccessor(tabId, url, successor);
    void this.#follow();
    return successor;
  }

  /**
   * Tells which context a tab's document has.
   *
   * @param {number} tabId
   * @param {string} url
   * @returns {{ traced: boolean, traceId: string, sampled: boolean }}
   */
  contextOf(tabId, url) {
    const { context: session } = this.#session;
    /** @type {NavigationContext} */
    const context = this.#tabs.current(tabId) ?? session;
    const traced = this.#isPage(url) && context.steering?.off !== true;
    return { traced, traceId: context.trace?.traceId ?? session.traceId, sampled: isSampled(context.flags) };
  }

  /**
   * @param {number} tabId
   * @param {string} url
   * @param {NavigationContext} context
   */
  #tellSuccessor(tabId, url, { spanId }) {
    const time = Date.now();
    const transition = 'new-trace';
    this.#outbox.observe({ what: 'navigation-committed', time, spanId, tabId, url: cutUrl(url), started: time, transition });
  }

  /** Tells whether an address is that of a page that is traced. @param {string} url */
  #isPage(url) {
    return /^https?:/.test(url) && this.isTarget(url);
  }

  /**
   * @param {number[]} tabIds
   * @param {number[]} windowIds
   */
  opened(tabIds, windowIds) {
    this.#change(this.#tabs.opened(tabIds, windowIds));
  }

  /**
   * @param {number} tabId
   * @returns {NavigationContext[]} the navigations that no document comes of now
   */
  closed(tabId) {
    this.#traces.closed(tabId);
    return this.#change(this.#tabs.closed(tabId));
  }

  /**
   * Learns what a client has put on the request of a navigation, which rules have no say in: it holds from the next one on. In detailed mode the
   * listener has seen it already, but for what left before it knew the session.
   *
   * @param {number} tabId
   * @param {string} requestId
   * @param {chrome.webRequest.HttpHeader[] | undefined} headers
   * @param {string | undefined} control
   */
  arrived(tabId, requestId, headers, control) {
    if (this.#tabs.navigation(tabId, requestId) !== undefined) return;
    const { propagation } = this.#session;
    this.#traces.arrive(tabId, propagation.extract(headers), propagation.baggageOf(headers), control);
  }

  /**
   * @param {number} tabId
   * @param {string} requestId
   * @param {Carried | null} sent the context that the request carries
   * @param {number} timeStamp when it left, in milliseconds since the epoch
   */
  requested(tabId, requestId, sent, timeStamp) {
    this.#session.use();
    if (this.#mode === 'lightweight') {
      const ours = sent !== null && this.#traces.has(sent.traceId) && !this.#traces.isClients(sent.spanId);
      this.#change(this.#tabs.requested(tabId, requestId, ours ? this.#traces.contextOf(tabId, sent) : null));
    } else if (this.#tabs.navigation(tabId, requestId) === undefined) {
      // The listener begins a navigation before its request leaves: only one that left before it was asked comes here.
      this.#change(this.#tabs.requested(tabId, requestId, null));
      if (!this.#injector.asked && timeStamp > this.#since) this.#denied();
    }
  }

  /**
   * @param {number} tabId
   * @param {string} requestId
   * @param {string | null} url
   * @returns {NavigationContext[]} the navigation, if no document comes of it
   */
  responded(tabId, requestId, url) {
    return this.#change(this.#tabs.responded(tabId, requestId, url));
  }

  /**
   * @param {number} tabId
   * @param {string} requestId
   * @returns {NavigationContext[]} the navigation, if no document comes of it
   */
  failed(tabId, requestId) {
    return this.#change(this.#tabs.failed(tabId, requestId));
  }

  /**
   * @param {number} tabId
   * @param {string} url
   * @returns {NavigationContext[]} the navigation, if it is one that counts
   */
  committed(tabId, url) {
    return this.#change(this.#tabs.committed(tabId, url));
  }

  /**
   * @param {number} tabId
   * @param {string} url
   * @param {boolean} errorPage
   * @returns {NavigationContext[]} the navigation, if it was not known yet that no document comes of it
   */
  abandoned(tabId, url, errorPage) {
    return this.#change(this.#tabs.abandoned(tabId, url, errorPage));
  }

  /**
   * Has the rules follow a change when they must.
   *
   * @param {Change} change
   * @returns {NavigationContext[]} the navigations that were over with it
   */
  #change({ arm, ended }) {
    if (arm) void this.#follow();
    if (ended.length > 0) this.#session.use();
    return ended;
  }

  /** The browser said that it lets listeners change requests, and then did not ask them. */
  #denied() {
    console.warn('navtrace: the browser does not ask the listener that it granted: going on in lightweight mode');
    this.#granted = false;
    void this.#settle();
  }

  /** Goes over to the mode that is wanted and granted. Whichever of the two is to go stays until the other is there. */
  async #settle() {
    const wanted = this.#session.wantedMode ?? this.#before ?? 'auto';
    const mode = this.#granted && wanted !== 'lightweight' ? 'detailed' : 'lightweight';
    if (mode !== this.#mode) this.#since = Infinity;
    this.#mode = mode;
    this.#turn += 1;
    this.#tabs.limit(mode === 'detailed' ? MOST_SLOTS : mostSlots(this.#session.propagation.settings));
    if (this.#session.propagation.paused) this.#since = Infinity;
    else if (mode === 'detailed') {
      this.#requests.stop();
      this.#injector.start(this.#session, this.#tabs, this.#traces);
    }
    await this.#follow();
  }

  /** Puts the rules in force that the mode has: in detailed mode they are always the same. */
  async #follow() {
    const mode = this.#mode;
    const turn = this.#turn;
    const { context, propagation, kept } = this.#session;
    const { settings, paused } = propagation;
    let rules;
    if (mode === 'lightweight') rules = rulesFor(this.#tabs.contexts(), this.#allTypes, propagation, this.#traces, kept);
    else rules = paused ? pausedRules(context, propagation, this.#allTypes, this.#traces, kept) : [recordOf(context, settings, kept)];
    if (!(await this.#arm.wish(rules)) || turn !== this.#turn) return;
    if (paused) this.#injector.stop();
    if (mode === 'lightweight') {
      this.#injector.stop();
      this.#requests.listen(context, this.#traces);
    }
    if (this.#since === Infinity && !paused) this.#since = Date.now();
    this.#session.armed(context, mode);
  }
}

/**
 * Asks whether the browser lets listeners of this extension change requests: it registers them in any case, and then never asks them.
 *
 * @returns {Promise<boolean>}
 */
const isGranted = () =>
  attempt('asking for the grant', async () => chrome.permissions.contains({ permissions: ['webRequestBlocking'] }), false);

/** @returns {Promise<[tabIds: number[], windowIds: number[]]>} */
async function openIds() {
  const [tabs, windows] = await Promise.all([
    attempt('listing tabs', async () => chrome.tabs.query({}), []),
    attempt('listing windows', async () => chrome.windows.getAll({ windowTypes: WINDOW_TYPES }), []),
  ]);
  return [tabs.flatMap(({ id }) => id ?? []), windows.flatMap(({ id }) => id ?? [])];
}
