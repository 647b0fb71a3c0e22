/**
 * The settings that last, which the host keeps in config.toml.
 */

import { askSettings, isObject, isStored, store } from '../channel/messages.js';

/** @import { Host } from '../channel/host.js' */
/** @import { SettingsView } from './view.js' */
/** @typedef {Parameters<typeof store>[0]} Values */

/** @param {unknown} value @returns {value is Values} */
export const areValues = (value) => isObject(value) && Object.values(value).every(isStored);

/**
 * @param {Pick<Host, 'ask'>} host
 * @returns {Promise<SettingsView | string>} why they can't be had, if they can't
 */
export async function lastingSettings(host) {
  const answer = await host.ask(askSettings(), 'settings');
  return typeof answer === 'string' ? answer : viewOfSettings(answer);
}

/**
 * @param {Pick<Host, 'ask' | 'reconnect'>} host
 * @param {Values} values
 * @returns {Promise<SettingsView | string>} why nothing was stored, if nothing was
 */
export async function storeSettings(host, values) {
  const answer = await host.ask(store(values), 'settings');
  if (typeof answer === 'string') return answer;
  // What is stored holds for hosts that are started from now on.
  host.reconnect();
  return viewOfSettings(answer);
}

/** @param {Omit<SettingsView, 'type'>} message @returns {SettingsView} */
const viewOfSettings = ({ file, exists, settings }) => ({ type: 'settings', file, exists, settings });
