/**
 * Decides between lightweight and detailed mode, and updates the rules and the listener. The old mode stays in force until the new one is.
 */

import { refusalsOf, refusedRegexes } from './patterns.js';
import { MAX_TABS, roomForTabs } from './rules.js';

/** @import { Host } from '../channel/host.js' */
/** @import { PropagationSettings } from '../context/propagation.js' */
/** @import { Mode } from '../protocol.d.ts' */
/** @import { Carrier } from './carrier.js' */
/** @import { Tracing } from './tabs.js' */

/** The mode of a session. */
export class ModeSwitch {
  #tracing;
  #host;
  #carrier;
  #granted;
  #before;
  /** @type {Mode} */
  #mode = 'lightweight';
  /** Time at which the mode came into force, in milliseconds since the epoch. */
  #since = Infinity;
  /** Counts decisions, so that work for an earlier one can be told apart. */
  #decision = 0;
  /** Whether the browser is being asked about patterns. Rules wait for its answer. */
  #isAsking = false;
  /** Settings by which the contexts to come were made. */
  #settings;

  /**
   * @param {Tracing} tracing @param {Pick<Host, 'acceptSession' | 'armed' | 'facts' | 'problem'>} host
   * @param {Carrier} carrier @param {object} start
   * @param {boolean} start.granted whether the browser says that listeners may change requests
   * @param {Mode | null} start.before mode of an earlier worker's rules
   */
  constructor(tracing, host, carrier, { granted, before }) {
    this.#tracing = tracing;
    this.#host = host;
    this.#carrier = carrier;
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
      traces.clients.reset();
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
   * @param {number} timeStamp time at which a request left without it, in milliseconds since the epoch
   */
  requestLeft(timeStamp) {
    if (this.#carrier.isAsked || timeStamp <= this.#since) return;
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
    if (mode !== this.#mode || session.propagation.paused) this.#since = Infinity;
    this.#mode = mode;
    this.#settings = settings;
    this.#decision += 1;
    this.#isAsking = false;
    if (mode === 'detailed' || settings.targets.length + settings.exclude.length === 0) session.refuse([]);
    else if (!(await this.#refusePatterns(settings))) return;
    tabs.limit(mode === 'detailed' ? MAX_TABS : roomForTabs(session.propagation));
    if (mode === 'detailed' && !session.propagation.paused) this.#carrier.listen(this.#tracing);
    await this.update();
  }

  /** Updates the rules to the contexts. In detailed mode they stay the same. */
  async update() {
    if (this.#isAsking) return;
    const { session } = this.#tracing;
    const mode = this.#mode;
    const decision = this.#decision;
    const { context, propagation } = session;
    if (!(await this.#carrier.updateRules(mode, this.#tracing)) || decision !== this.#decision) return;
    this.#carrier.finish(mode, this.#tracing);
    if (this.#since === Infinity && !propagation.paused) this.#since = Date.now();
    this.#host.armed(context, mode);
  }

  /**
   * Leaves out the patterns that rules of the browser cannot match, and tells the user.
   *
   * @param {PropagationSettings} settings
   * @returns {Promise<boolean>} false when another decision was taken meanwhile
   */
  async #refusePatterns(settings) {
    const { session } = this.#tracing;
    const decision = this.#decision;
    this.#isAsking = true;
    const refused = await refusedRegexes(settings);
    if (decision !== this.#decision) return false;
    this.#isAsking = false;
    session.refuse(refused);
    const { version, configured } = this.#host.facts;
    // A restarted worker does not know the patterns until its host has answered.
    if (version === null) return true;
    const patterns = { targets: session.chosen.targets ?? configured?.targets ?? [], exclude: configured?.exclude ?? [] };
    for (const message of refusalsOf(settings, refused, patterns)) this.#host.problem(message);
    return true;
  }
}
