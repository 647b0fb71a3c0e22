/**
 * Shows the state of the session: on the extension's button, and to the pages that watch it.
 */

import { Badge } from './view.js';

/** @import { Host } from '../channel/host.js' */
/** @import { Session } from '../context/session.js' */

/** The state of the session and its host. */
export class Status {
  #session;
  #host;
  #badge = new Badge();
  #changed = () => {};

  /** @param {Session} session @param {Pick<Host, 'state'>} host */
  constructor(session, host) {
    this.#session = session;
    this.#host = host;
  }

  get current() {
    return { ...this.#host.state, ...this.#session.kept };
  }

  /** @param {() => void} changed called after each change */
  watch(changed) {
    this.#changed = changed;
  }

  /** Shows a change. */
  show() {
    const { mode, wantedMode, paused, connected, exporter } = this.current;
    this.#badge.show({ mode, wantedMode, paused, connected, problem: exporter?.problem ?? null });
    this.#changed();
  }
}
