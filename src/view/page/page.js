// The behaviour of the page: the list of traces, the location (#trace/span), filters and keys.

/** @type {{source?: string, traces?: Trace[], leftOutTraces?: number, leftOutSpans?: number, run?: Run|null, correctClocks?: boolean}} */
const data = JSON.parse(byId('data').textContent ?? '{}');
const traces = data.traces ?? [];
/** By trace, and with its clocks corrected. @type {Map<Trace, Model>[]} */
const models = [new Map(), new Map()];
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

/** Delay before the location changes, in milliseconds: browsers limit how often it may. */
const LOCATION_DELAY = 150;
let locationTimer = 0;

/** Replaces the location by that of a trace or a span, without a new history entry. */
function setLocation(/** @type {string[]} */ ...ids) {
  clearTimeout(locationTimer);
  const before = location.hash;
  locationTimer = setTimeout(() => {
    // The user may have navigated in the meantime.
    if (location.hash === before) history.replaceState(null, '', `#${ids.map(encodeURIComponent).join('/')}`);
  }, LOCATION_DELAY);
}

/** Shows a notice, or removes it if the text is empty. */
function notify(/** @type {string} */ text) {
  byId('notice').textContent = text;
}

/** Returns the model of a trace, which is created on first use. */
function modelOf(/** @type {Trace} */ trace) {
  const isCorrected = trace.corrected !== null && byId('clocks').checked;
  const known = models[isCorrected ? 1 : 0];
  let model = known.get(trace);
  if (!model) {
    model = new Model(isCorrected ? withCorrectClocks(trace) : trace);
    known.set(trace, model);
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

/** Shows the rows for the current filter and collapsed spans. */
function update() {
  if (!current) return;
  const { rows, matches } = current.rows(filter());
  byId('match-count').textContent = matches === null ? '' : counted(matches, 'match', 'matches');
  waterfall.set(current, rows);
}

/** Selects a span; `open` shows its details. */
function choose(/** @type {number} */ spanIndex, /** @type {boolean} */ open) {
  if (!current) return;
  chosen = spanIndex;
  waterfall.choose(spanIndex);
  if (open || !panel.hidden) {
    const wasHidden = panel.hidden;
    showDetails(panel, current, spanIndex, { close: closeDetails, has, zoom });
    if (wasHidden) scrollAboveDetails();
  }
  notify('');
  setLocation(current.trace.id, current.keys[spanIndex]);
}

/** Returns whether the page has a span. */
function has(/** @type {string} */ traceId, /** @type {string} */ spanId) {
  const trace = traces.find(({ id }) => id === traceId);
  return trace !== undefined && modelOf(trace).indexes.has(spanId);
}

/** In a narrow window the details cover the lower part: scrolls the selected row above them. */
function scrollAboveDetails() {
  const row = grid.querySelector('.row.chosen');
  if (!row || !matchMedia('(max-width: 900px)').matches) return;
  const covered = row.getBoundingClientRect().bottom - panel.getBoundingClientRect().top;
  if (covered > 0) scrollBy(0, covered + ROW_HEIGHT);
}

/** Expands or collapses a span. */
function toggle(/** @type {number} */ spanIndex) {
  if (!current) return;
  if (!current.collapsed.delete(spanIndex)) {
    current.collapsed.add(spanIndex);
    // If the selected span is hidden now, select the collapsed one.
    if (chosen > spanIndex && chosen < current.after[spanIndex]) choose(spanIndex, false);
  }
  update();
}

/** Zooms to the selected span, or back to the whole trace. */
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

function closeDetails() {
  panel.hidden = true;
  if (current) setLocation(current.trace.id);
  grid.focus({ preventScroll: true });
}

/** Makes the row of a span visible: expands its ancestors, and resets the filter if it hides the span. */
function reveal(/** @type {number} */ spanIndex) {
  if (!current) return;
  for (let above = current.parents[spanIndex]; above >= 0; above = current.parents[above]) current.collapsed.delete(above);
  update();
  if (waterfall.rowIndexOf(spanIndex) < 0) {
    resetFilters();
    update();
  }
}

function resetFilters() {
  for (const id of ['search', 'service', 'kind']) byId(id).value = '';
  for (const id of ['errors', 'uncached']) byId(id).checked = false;
}

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
  byId('clocks-label').hidden = trace.corrected === null;
  byId('notes').textContent = model.notes().join(' ');
  byId('notes').hidden = byId('notes').textContent === '';
  byId('whole').hidden = true;
  for (const button of byId('traces').querySelectorAll('button')) {
    if (button.dataset.trace === trace.id) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
  }
  update();
}

/** Shows all traces together, or else the trace. */
function showRun(/** @type {boolean} */ on) {
  byId('run').hidden = !on;
  byId('trace').hidden = on || traces.length === 0;
  if (on) byId('show-run').setAttribute('aria-current', 'true');
  else byId('show-run').removeAttribute('aria-current');
  if (!on) return;
  current = null;
  panel.hidden = true;
  for (const button of byId('traces').querySelectorAll('button')) button.removeAttribute('aria-current');
}

/** Shows what the location names: a trace and a span, or nothing, which is the run if there is one. */
function showLocation() {
  const [traceId, spanId] = location.hash.slice(1).split('/').map(decode);
  showRun(!traceId && Boolean(data.run));
  if (!byId('run').hidden) {
    clearTimeout(locationTimer);
    notify('');
    return;
  }
  const trace = traceId ? traces.find(({ id }) => id === traceId) : traces[0];
  clearTimeout(locationTimer);
  const shown = trace ?? traces[0];
  if (!shown) {
    notify('There are no traces in this file.');
    return;
  }
  notify(trace ? '' : `There is no trace ${traceId} in this file. Showing another one.`);
  if (current?.trace.id !== shown.id) show(shown);
  if (!trace || !spanId || !current) return;
  const spanIndex = current.indexes.get(spanId);
  if (spanIndex === undefined) {
    notify(`There is no span ${spanId} in this trace.`);
    return;
  }
  reveal(spanIndex);
  choose(spanIndex, true);
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Opens a trace, or a span of it, with a new history entry; nothing is the run. */
function openTrace(/** @type {string[]} */ ...ids) {
  clearTimeout(locationTimer);
  history.pushState(null, '', `#${ids.map(encodeURIComponent).join('/')}`);
  showLocation();
}

/** Shows the trace with its clocks as they are, or corrected. The selected span stays selected. */
function showClocks() {
  const trace = traces.find(({ id }) => id === current?.trace.id);
  if (!current || !trace) return;
  const [key, isOpen] = [current.keys[chosen], !panel.hidden];
  show(trace);
  const spanIndex = current.indexes.get(key);
  if (spanIndex === undefined) return;
  reveal(spanIndex);
  choose(spanIndex, isOpen);
}

/** Selects the next span with an error; after the last one, the first one. */
function nextError() {
  if (!current) return;
  const { spans } = current.trace;
  for (let step = 1; step <= spans.length; step += 1) {
    const spanIndex = (chosen + step + spans.length) % spans.length;
    if (spans[spanIndex].error) {
      reveal(spanIndex);
      choose(spanIndex, true);
      return;
    }
  }
}

/** Handles the keys of the waterfall. */
function handleRowKey(/** @type {KeyboardEvent} */ event) {
  if (!current || event.ctrlKey || event.metaKey || event.altKey) return;
  const { rows } = waterfall;
  const rowIndex = waterfall.rowIndexOf(chosen);
  const page = Math.max(1, Math.floor(grid.clientHeight / ROW_HEIGHT) - 1);
  /** @type {Record<string, number>} */
  const targets = { ArrowDown: rowIndex + 1, ArrowUp: rowIndex - 1, PageDown: rowIndex + page, PageUp: rowIndex - page, Home: 0, End: rows.length - 1 };
  const target = targets[event.key];
  if (target !== undefined && rows.length > 0) {
    choose(rows[Math.max(0, Math.min(rows.length - 1, target))].spanIndex, false);
  } else if (event.key === 'Enter' && chosen >= 0) {
    choose(chosen, true);
  } else if (event.key === 'ArrowRight' && chosen >= 0) {
    if (current.collapsed.has(chosen)) toggle(chosen);
    else if (rows[rowIndex]?.isParent) choose(rows[rowIndex + 1].spanIndex, false);
  } else if (event.key === 'ArrowLeft' && chosen >= 0) {
    if (rows[rowIndex]?.isParent && !current.collapsed.has(chosen)) {
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
  byId('left-out').textContent = data.leftOutTraces
    ? `${counted(data.leftOutTraces, 'more trace')} with ${counted(data.leftOutSpans ?? 0, 'span')} in the file: navtrace view FILE TRACE_ID`
    : `${counted(data.leftOutSpans ?? 0, 'more span')} in the file`;
}
byId('clocks').checked = data.correctClocks ?? false;
byId('trace-count').textContent = counted(traces.length, 'trace');
byId('traces').append(...traces.map((trace) => entry(modelOf(trace), () => openTrace(trace.id))));
byId('trace').hidden = traces.length === 0;
byId('layout').classList.toggle('single', traces.length < 2 && !data.run);
if (data.run) {
  byId('show-run').hidden = false;
  byId('show-run').addEventListener('click', () => openTrace());
  byId('run').append(...runParts(data.run, new Set(traces.map(({ id }) => id)), openTrace));
}
byId('notice').classList.toggle('calm', traces.length === 0);
byId('trace').classList.add('critical-on');

byId('tools').addEventListener('input', update);
byId('tools').addEventListener('submit', (/** @type {Event} */ event) => event.preventDefault());
byId('critical').addEventListener('change', () => byId('trace').classList.toggle('critical-on', byId('critical').checked));
byId('clocks').addEventListener('change', showClocks);
byId('next-error').addEventListener('click', nextError);
byId('whole').addEventListener('click', zoomOut);
byId('copy-trace').addEventListener('click', () => current && copy(byId('copy-trace'), current.trace.id));
byId('help-button').addEventListener('click', toggleHelp);
grid.addEventListener('keydown', handleRowKey);
addEventListener('hashchange', showLocation);
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
showLocation();
