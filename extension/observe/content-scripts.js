/** Registers scripts of the extension that run in web pages. */

/**
 * Runs these scripts in every page that is loaded from now on, until the browser ends.
 *
 * @param {chrome.scripting.RegisteredContentScript[]} scripts
 */
export async function runInPages(scripts) {
  // An earlier worker may have registered them.
  const registered = await chrome.scripting.getRegisteredContentScripts({ ids: scripts.map(({ id }) => id) });
  if (registered.length === 0) await chrome.scripting.registerContentScripts(scripts);
}
