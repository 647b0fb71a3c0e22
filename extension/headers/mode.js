/**
 * Decides between two modes of putting contexts on requests, and updates the rules and the listener:
 *
 * - lightweight: session rules carry the contexts and change once per navigation;
 * - detailed: a blocking listener puts its own span id on every request. Rules that match win over the listener, so they are only about
 *   requests that it is not asked about.
 *
 * The old mode stays in force until the new one is.
 */

import { isSampled } from '../context/propagators.js';
import { refusalsOf, refusedRegexes } from './patterns.js';
import { MAX_TABS, detailedRules, lightweightRules, roomForTabs } from './rules.js';

/** @import { Host } from '../channel/host.js' */
/** @import { PropagationSettings } from '../context/propagation.js' */
/** @import { Requests } from '../observe/requests.js' */
/** @import { Mode } from '../protocol.d.ts' */
/** @import { Injector } from './injector.js' */
/** @import { SessionRules } from './session-rules.js' */
/** @import { Tracing } from './tabs.js' */
/** @typedef {ReturnType<typeof import('../observe/navigations.js').watchNavigations>} NavigationListeners */
/** @typedef {{ rules: SessionRules, injector: Injector, requests: Requests, navigations: NavigationListeners }} ModeParts */

/**
 * Returns whether there are rules with the patterns of targets and exclusions.
 *
 * @param {Mode | null} mode
 * @param {Pick<PropagationSettings, 'resources' | 'otherResources'>} settings
 */
export const hasPatternRules = (mode, { resources, otherResources }) =>
  mode === 'lightweight' || (resources.length > 0 && otherResources === 'session');

/** The mode of a session. */
export class ModeSwitch {
  #tracing;
  #host;
  #rules;
  #injector;
  #requests;
  #navigations;
  #granted;
  #before;
  /** @type {Mode} */
  #mode = 'lightweight';
  /** Time at which the mode came into force, in milliseconds since the epoch. */
  #since = Infinity;
  /** Counts decisions, to recognize work for an earlier one. */
  #decision = 0;
  /** Whether the browser is being asked about patterns. Rules wait for its answer. */
  #isAsking = false;
  /** What the browser was asked about last, and what it refused of that. */
  #answered = { regexes: '', refused: /** @type {string[]} */ ([]) };
  /** Settings by which the contexts to come were made. */
  #settings;
  /** Sorted as the browser returns them, so that rules compare equal after a restart. */
  #allTypes = Object.values(chrome.declarativeNetRequest.ResourceType).sort();

  /**
   * @param {Tracing} tracing @param {Pick<Host, 'acceptSession' | 'armed' | 'facts' | 'problem'>} host
   * @param {ModeParts} parts in lightweight mode `requests` and `navigations` observe how requests start; in detailed mode the injector does
   * @param {object} start
   * @param {boolean} start.granted whether the browser says that listeners may change requests
   * @param {Mode | null} start.before mode of an earlier worker's rules
   */
  constructor(tracing, host, { rules, injector, requests, navigations }, { granted, before }) {
    this.#tracing = tracing;
    this.#host = host;
    this.#rules = rules;
    this.#injector = injector;
    this.#requests = requests;
    this.#navigations = navigations;
    this.#granted = granted;
    this.#before = before;
    this.#settings = tracing.session.propagation.settings;
  }

  get isLightweight() {
    return this.#mode === 'lightweight';
  }

  /** Follows a change of the session, the mode, or the propagation. */
  renew() {
    const { session, traces, tabs } = this.#tracing;
    if (this.#host.acceptSession()) {
      traces.reset();
      tabs.reset();
    } else if (this.#settings !== session.propagation.settings) {
      // The contexts to come were made by the settings before.
      tabs.refresh();
    }
    void this.decide();
  }

  /**
   * Changes to lightweight mode if the browser never asks the listener.
   *
   * @param {number} begun when a navigation without it began, in milliseconds since the epoch
   */
  requestLeft(begun) {
    if (this.#injector.asked || begun <= this.#since) return;
    console.warn('navtrace: the browser does not ask the listener that it granted: going on in lightweight mode');
    this.#granted = false;
    void this.decide();
  }

  /** Chooses the mode that is wanted and granted, and puts it in force. */
  async decide() {
    const { session, tabs } = this.#tracing;
    const { settings } = session.propagation;
    const wanted = this.#host.facts.wantedMode ?? this.#before ?? 'auto';
    const mode = this.#granted && wanted !== 'lightweight' ? 'detailed' : 'lightweight';
    if (mode !== this.#mode || session.propagation.paused || settings !== this.#settings) this.#since = Infinity;
    this.#mode = mode;
    this.#settings = settings;
    this.#decision += 1;
    this.#isAsking = false;
    session.matchByListener(mode === 'detailed');
    if (!hasPatternRules(mode, settings) || settings.targets.length + settings.exclude.length === 0) session.refuse([]);
    else if (!(await this.#refusePatterns(settings))) return;
    tabs.limit(mode === 'lightweight' ? roomForTabs(session.propagation) : MAX_TABS);
    if (isSampled(session.context.flags)) this.#requests.sampled();
    if (mode === 'detailed' && !session.propagation.paused) {
      // The listener must be there before the rules are removed.
      this.#navigations.leaveToInjector({ readsHeaders: settings.domains.length > 0 });
      this.#requests.listen(session.propagation.filter);
      this.#injector.start(this.#tracing);
    }
    await this.update();
  }

  /** Updates the rules. In detailed mode they change only with the settings, a pause, or what clients put on requests. */
  async update() {
    if (this.#isAsking) return;
    const { session, tabs, traces } = this.#tracing;
    const mode = this.#mode;
    const decision = this.#decision;
    const { context, propagation } = session;
    const kept = { ...session.kept, contexts: traces.contexts.kept ?? undefined };
    const ruled = tabs.withRules();
    const rules =
      mode === 'lightweight'
        ? lightweightRules(tabs.contexts(), this.#allTypes, propagation, traces, kept)
        : detailedRules(tabs.contexts(), this.#allTypes, propagation, traces, kept);
    if (!(await this.#rules.replace(rules)) || decision !== this.#decision) return;
    tabs.browserContexts.ruled(ruled);
    this.#injector.removeReplaced();
    // Rules have taken the place of the listener.
    if (mode === 'lightweight' || session.propagation.paused) this.#injector.stop();
    if (mode === 'lightweight') this.#navigations.followAll();
    if (session.propagation.paused) this.#requests.stop();
    else if (mode === 'lightweight') this.#requests.listenByRules(propagation.filter, session.context, traces, tabs);
    if (this.#since === Infinity && !propagation.paused) this.#since = Date.now();
    this.#host.armed(context, mode);
  }

  /**
   * Leaves out the patterns that rules of the browser cannot match, and reports them to the user.
   *
   * @param {PropagationSettings} settings
   * @returns {Promise<boolean>} false when another decision was taken meanwhile
   */
  async #refusePatterns(settings) {
    const { session } = this.#tracing;
    const decision = this.#decision;
    const regexes = [...settings.targets, ...settings.exclude].join('\n');
    if (this.#answered.regexes !== regexes) {
      this.#isAsking = true;
      const refused = await refusedRegexes(settings);
      if (decision !== this.#decision) return false;
      this.#isAsking = false;
      this.#answered = { regexes, refused };
    }
    const { refused } = this.#answered;
    session.refuse(refused);
    const { version, configured } = this.#host.facts;
    // A restarted worker does not know the patterns until its host has answered.
    if (version === null) return true;
    const patterns = { targets: session.chosen.targets ?? configured?.targets ?? [], exclude: configured?.exclude ?? [] };
    const { listens } = session.propagation;
    for (const message of refusalsOf({ ...settings, listens }, refused, patterns)) this.#host.problem(message);
    return true;
  }
}
