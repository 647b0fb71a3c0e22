// What the page does: the list of traces, the location (#trace/span), filters and keys.

/** @type {{source?: string, traces?: Trace[], leftOutTraces?: number, leftOutSpans?: number}} */
const data = JSON.parse(byId('data').textContent ?? '{}');
const traces = data.traces ?? [];
/** @type {Map<string, Model>} */
const models = new Map();
/** @type {Model|null} */
let current = null;
/** @type {number} */
let chosen = -1;

/** @param {string} id @returns {any} */
function byId(id) {
  return document.getElementById(id);
}

const grid = byId('rows');
const panel = byId('details');
const waterfall = new Waterfall(grid, byId('sizer'), byId('ticks'), { choose, toggle });

/** How long the location waits for the keys to rest: browsers refuse it to change too often. */
const REST_MS = 150;
let located = 0;

/** Makes the location that of a trace or a span, in no new entry of the history. */
function locate(/** @type {string[]} */ ...ids) {
  clearTimeout(located);
  const before = location.hash;
  located = setTimeout(() => {
    // Whoever went elsewhere meanwhile is not taken back.
    if (location.hash === before) history.replaceState(null, '', `#${ids.map(encodeURIComponent).join('/')}`);
  }, REST_MS);
}

/** Says what is the matter; nothing, where nothing is. */
function notify(/** @type {string} */ text) {
  byId('notice').textContent = text;
}

/** The model of a trace; made once, when it is first looked at. */
function modelOf(/** @type {Trace} */ trace) {
  let model = models.get(trace.id);
  if (!model) {
    model = new Model(trace);
    models.set(trace.id, model);
  }
  return model;
}

/** @returns {Filter} */
function filter() {
  return {
    search: byId('search').value.trim().toLowerCase(),
    service: byId('service').value,
    kind: byId('kind').value,
    errors: byId('errors').checked,
    uncached: byId('uncached').checked,
  };
}

/** Shows the rows as the filters and the closed spans want it. */
function update() {
  if (!current) return;
  const { rows, matches } = current.rows(filter());
  byId('match-count').textContent = matches === null ? '' : counted(matches, 'match', 'matches');
  waterfall.set(current, rows);
}

/** Makes a span the chosen one; `open` shows its details. */
function choose(/** @type {number} */ place, /** @type {boolean} */ open) {
  if (!current) return;
  chosen = place;
  waterfall.choose(place);
  const span = current.trace.spans[place];
  if (open || !panel.hidden) {
    const wasHidden = panel.hidden;
    showDetails(panel, current, span, { close: closeDetails, has, zoom });
    if (wasHidden) uncover();
  }
  notify('');
  locate(current.trace.id, span.id);
}

/** Whether a span is in this page. */
function has(/** @type {string} */ traceId, /** @type {string} */ spanId) {
  const trace = traces.find(({ id }) => id === traceId);
  return trace !== undefined && modelOf(trace).places.has(spanId);
}

/** Where details cover the lower part of a narrow window, the chosen row goes above them. */
function uncover() {
  const row = grid.querySelector('.row.chosen');
  if (!row || !matchMedia('(max-width: 900px)').matches) return;
  const covered = row.getBoundingClientRect().bottom - panel.getBoundingClientRect().top;
  if (covered > 0) scrollBy(0, covered + ROW_HEIGHT);
}

/** Opens or closes a span. */
function toggle(/** @type {number} */ place) {
  if (!current) return;
  if (!current.closed.delete(place)) {
    current.closed.add(place);
    // The chosen span does not get lost in what is closed.
    if (chosen > place && chosen < current.after[place]) choose(place, false);
  }
  update();
}

/** Has the tracks show the time of the chosen span alone, or the whole trace again. */
function zoom() {
  if (!current) return;
  const span = current.trace.spans[chosen];
  const { from, length } = waterfall.range;
  if (span && (span.startUs !== from || Math.max(span.durationUs, 1) !== length)) waterfall.show(span.startUs, span.durationUs);
  else waterfall.show(0, current.trace.durationUs);
  byId('whole').hidden = !waterfall.isZoomed;
}

function zoomOut() {
  if (current) waterfall.show(0, current.trace.durationUs);
  byId('whole').hidden = true;
}

/** Closes the details. */
function closeDetails() {
  panel.hidden = true;
  if (current) locate(current.trace.id);
  grid.focus({ preventScroll: true });
}

/** Opens what hides a span. */
function reveal(/** @type {number} */ place) {
  if (!current) return;
  for (let above = current.parents[place]; above >= 0; above = current.parents[above]) current.closed.delete(above);
  update();
  if (waterfall.numberOf(place) < 0) {
    resetFilters();
    update();
  }
}

function resetFilters() {
  for (const id of ['search', 'service', 'kind']) byId(id).value = '';
  for (const id of ['errors', 'uncached']) byId(id).checked = false;
}

/** Shows a trace. */
function show(/** @type {Trace} */ trace) {
  current = modelOf(trace);
  chosen = -1;
  waterfall.chosen = -1;
  panel.hidden = true;
  const model = current;
  byId('title').textContent = model.root?.label ?? '';
  byId('id').textContent = trace.id;
  byId('facts').replaceChildren([clock(trace.startMs), ...model.facts()].join(' · '), ...errorsOf(model));
  const link = byId('link');
  link.hidden = !/^https?:\/\//.test(trace.link ?? '');
  if (!link.hidden) link.setAttribute('href', trace.link);
  else link.removeAttribute('href');
  options(byId('service'), 'all services', model.services);
  options(byId('kind'), 'all kinds', model.kinds);
  byId('next-error').disabled = model.errors === 0;
  byId('legend').replaceChildren(...legend(model));
  byId('whole').hidden = true;
  for (const button of byId('traces').querySelectorAll('button')) {
    if (button.dataset.trace === trace.id) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
  }
  update();
}

/** Goes where the location points. */
function follow() {
  const [traceId, spanId] = location.hash.slice(1).split('/').map(decode);
  const trace = traceId ? traces.find(({ id }) => id === traceId) : traces[0];
  clearTimeout(located);
  const shown = trace ?? traces[0];
  if (!shown) {
    notify('There are no traces in this file.');
    return;
  }
  notify(trace ? '' : `There is no trace ${traceId} in this file; this is another one.`);
  if (current?.trace !== shown) show(shown);
  if (!trace || !spanId || !current) return;
  const place = current.places.get(spanId);
  if (place === undefined) {
    notify(`There is no span ${spanId} in this trace.`);
    return;
  }
  reveal(place);
  choose(place, true);
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Goes to a trace; the way back leads to the one before. */
function go(/** @type {string} */ id) {
  clearTimeout(located);
  history.pushState(null, '', `#${encodeURIComponent(id)}`);
  follow();
}

/** Goes to the next span with an error, from the first one again after the last. */
function nextError() {
  if (!current) return;
  const { spans } = current.trace;
  for (let step = 1; step <= spans.length; step += 1) {
    const place = (chosen + step + spans.length) % spans.length;
    if (spans[place].error) {
      reveal(place);
      choose(place, true);
      return;
    }
  }
}

/** Moves over the rows. */
function move(/** @type {KeyboardEvent} */ event) {
  if (!current || event.ctrlKey || event.metaKey || event.altKey) return;
  const { rows } = waterfall;
  const number = waterfall.numberOf(chosen);
  const page = Math.max(1, Math.floor(grid.clientHeight / ROW_HEIGHT) - 1);
  /** @type {Record<string, number>} */
  const targets = { ArrowDown: number + 1, ArrowUp: number - 1, PageDown: number + page, PageUp: number - page, Home: 0, End: rows.length - 1 };
  const target = targets[event.key];
  if (target !== undefined && rows.length > 0) {
    choose(rows[Math.max(0, Math.min(rows.length - 1, target))].place, false);
  } else if (event.key === 'Enter' && chosen >= 0) {
    choose(chosen, true);
  } else if (event.key === 'ArrowRight' && chosen >= 0) {
    if (current.closed.has(chosen)) toggle(chosen);
    else if (rows[number]?.isParent) choose(rows[number + 1].place, false);
  } else if (event.key === 'ArrowLeft' && chosen >= 0) {
    if (rows[number]?.isParent && !current.closed.has(chosen)) {
      toggle(chosen);
    } else if (current.parents[chosen] >= 0) {
      choose(current.parents[chosen], false);
    }
  } else {
    return;
  }
  event.preventDefault();
}

function toggleHelp() {
  byId('help').hidden = !byId('help').hidden;
  byId('help-button').setAttribute('aria-expanded', String(!byId('help').hidden));
}

byId('source').textContent = data.source ?? '';
document.title = `${data.source ?? 'traces'} · navtrace`;
if ((data.leftOutSpans ?? 0) > 0 || (data.leftOutTraces ?? 0) > 0) {
  byId('left-out').hidden = false;
  const spans = counted(data.leftOutSpans ?? 0, 'span');
  byId('left-out').textContent = data.leftOutTraces
    ? `${counted(data.leftOutTraces, 'trace')} more with ${spans} in the file: navtrace view FILE TRACE_ID`
    : `${spans} more in the file`;
}
byId('trace-count').textContent = counted(traces.length, 'trace');
byId('traces').append(...traces.map((trace) => entry(modelOf(trace), () => go(trace.id))));
byId('trace').hidden = traces.length === 0;
byId('layout').classList.toggle('single', traces.length < 2);
byId('notice').classList.toggle('calm', traces.length === 0);
byId('trace').classList.add('critical-on');

byId('tools').addEventListener('input', update);
byId('tools').addEventListener('submit', (/** @type {Event} */ event) => event.preventDefault());
byId('critical').addEventListener('change', () => byId('trace').classList.toggle('critical-on', byId('critical').checked));
byId('next-error').addEventListener('click', nextError);
byId('whole').addEventListener('click', zoomOut);
byId('copy-trace').addEventListener('click', () => current && copy(byId('copy-trace'), current.trace.id));
byId('help-button').addEventListener('click', toggleHelp);
grid.addEventListener('keydown', move);
addEventListener('hashchange', follow);
addEventListener('keydown', (event) => {
  if (event.key === 'Escape') {
    if (!panel.hidden) closeDetails();
    else if (!byId('help').hidden) toggleHelp();
    return undefined;
  }
  const isTyping = event.target instanceof HTMLElement && event.target.matches('input:not([type=checkbox]), select');
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (event.key === '/') {
    event.preventDefault();
    byId('search').focus();
  } else if (event.key === 'e') nextError();
  else if (event.key === 'z') zoom();
  else if (event.key === '?') toggleHelp();
  return undefined;
});
follow();
