/**
 * Knows the hosts that clients navigate to themselves. Where no targets are named, the session's baggage goes to them and their subdomains alone,
 * and not to whatever their pages use. Pure.
 */

import { dropOldest } from '../drop-oldest.js';

/** @typedef {{ url: string, initiator?: string }} MainFrameRequest */

/** Limit for hosts, each of which is in rules of the browser. */
const MAX_HOSTS = 100;

/** Longest name of a host. */
const MAX_HOST_LENGTH = 253;

/** The host in an address, as the browser writes it. */
const HOST_IN_ADDRESS = /^(?:http|ws)s?:\/\/(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)/;

/** A page that may lead to any host. What a client writes into an empty tab, or into a `data:` address, is its own. */
const PAGE = /^(?:https?|file):/;

/** Returns the host in an address; empty for other schemes. @param {string} url */
export function hostOf(url) {
  const host = HOST_IN_ADDRESS.exec(url)?.[1] ?? '';
  return host.length > MAX_HOST_LENGTH ? '' : host;
}

/** Returns whether an address is on one of these hosts or on a subdomain, as rules understand it. @param {string} url @param {string[]} hosts */
export function isOnHosts(url, hosts) {
  const host = hostOf(url);
  return hosts.some((known) => host === known || host.endsWith(`.${known}`));
}

/** The hosts of one session. */
export class ClientHosts {
  /** @type {Set<string>} the oldest first */
  #hosts = new Set();
  /** Whether there may have been a page. */
  #hasPages = false;

  /** The hosts; null as long as only a client can have begun a navigation. @returns {string[] | null} */
  get list() {
    return this.#hasPages ? [...this.#hosts] : null;
  }

  /** Continues from what an earlier worker knew. @param {string[] | null} hosts */
  restore(hosts) {
    this.#hosts = new Set(hosts);
    this.#hasPages = true;
  }

  /** Takes the first request of a navigation. Returns whether that changes anything. @param {MainFrameRequest} details */
  navigated({ url, initiator }) {
    const isFirst = this.shown(url);
    // Chromium names no initiator only where no page has one: a client, or the user, has begun the navigation.
    const host = initiator === undefined ? hostOf(url) : '';
    if (host === '' || this.#hosts.has(host)) return isFirst;
    this.#hosts.add(host);
    dropOldest(this.#hosts, MAX_HOSTS);
    return true;
  }

  /** Takes the address of a page that a tab shows. Returns whether that changes anything. @param {string} url */
  shown(url) {
    const isFirst = !this.#hasPages && PAGE.test(url);
    this.#hasPages ||= isFirst;
    return isFirst;
  }

  /** Returns whether an address is on one of the hosts or on a subdomain. A request may be waiting. @param {string} url */
  has(url) {
    for (let host = hostOf(url), dot = 0; dot !== -1; host = host.slice(dot + 1)) {
      if (this.#hosts.has(host)) return true;
      dot = host.indexOf('.');
    }
    return false;
  }
}
