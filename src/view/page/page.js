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
const waterfall = new Waterfall(grid, byId('sizer'), { choose, changed: update });

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
  byId('matches').textContent = matches === null ? '' : `${counted(matches, 'match').replace(/hs$/, 'hes')}`;
  waterfall.set(current, rows);
}

/** Makes a span the chosen one; `open` shows its details. */
function choose(/** @type {number} */ place, /** @type {boolean} */ open) {
  if (!current) return;
  chosen = place;
  waterfall.choose(place);
  const span = current.trace.spans[place];
  if (open || !panel.hidden) {
    showDetails(panel, current, span, { close: closeDetails, has: (id) => traces.some((trace) => trace.id === id) });
  }
  history.replaceState(null, '', `#${encodeURIComponent(current.trace.id)}/${encodeURIComponent(span.id)}`);
}

/** Closes the details. */
function closeDetails() {
  panel.hidden = true;
  if (current) history.replaceState(null, '', `#${encodeURIComponent(current.trace.id)}`);
  grid.focus();
}

/** Opens what hides a span. */
function reveal(/** @type {number} */ place) {
  if (!current) return;
  for (let above = current.parents[place]; above >= 0; above = current.parents[above]) current.closed.delete(above);
  update();
  if (waterfall.numberOf(place) < 0) {
    byId('tools').reset();
    update();
  }
}

/** Shows a trace. */
function show(/** @type {Trace} */ trace) {
  current = modelOf(trace);
  chosen = -1;
  waterfall.chosen = -1;
  panel.hidden = true;
  const model = current;
  byId('title').textContent = trace.id;
  const began = new Date(trace.startMs);
  const facts = [
    Number.isNaN(began.getTime()) ? '' : began.toISOString().replace('T', ' ').replace('Z', ' UTC'),
    duration(trace.durationUs),
    counted(trace.spans.length, 'span'),
    model.errors > 0 ? counted(model.errors, 'error') : '',
  ];
  byId('facts').textContent = facts.filter((fact) => fact !== '').join(' · ');
  const link = byId('link');
  link.hidden = !/^https?:\/\//.test(trace.link ?? '');
  if (!link.hidden) link.setAttribute('href', trace.link);
  else link.removeAttribute('href');
  options(byId('service'), 'all services', model.services);
  options(byId('kind'), 'all kinds', model.kinds);
  byId('next-error').disabled = model.errors === 0;
  byId('legend').replaceChildren(...model.services.map((service) => element('li', model.colour(service), service)));
  drawAxis(byId('axis'), trace.durationUs);
  for (const button of byId('traces').querySelectorAll('button')) {
    if (button.dataset.trace === trace.id) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
  }
  update();
}

/** @param {HTMLSelectElement} select @param {string} all @param {string[]} names */
function options(select, all, names) {
  select.replaceChildren(
    ...['', ...names].map((name) => {
      const option = element('option', '', name === '' ? all : name);
      option.value = name;
      return option;
    }),
  );
}

/** Goes where the location points. */
function follow() {
  const [traceId, spanId] = location.hash.slice(1).split('/').map(decode);
  const trace = traceId ? traces.find(({ id }) => id === traceId) : traces[0];
  const notice = byId('notice');
  const shown = trace ?? traces[0];
  if (!shown) {
    notice.textContent = 'There are no traces in this file.';
    return;
  }
  notice.textContent = trace ? '' : `There is no trace ${traceId} in this file; this is another one.`;
  if (current?.trace !== shown) show(shown);
  if (!trace || !spanId || !current) return;
  const place = current.places.get(spanId);
  if (place === undefined) {
    notice.textContent = `There is no span ${spanId} in this trace.`;
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
    if (current.closed.delete(chosen)) update();
    else if (current.hasChildren(chosen)) choose(chosen + 1, false);
  } else if (event.key === 'ArrowLeft' && chosen >= 0) {
    if (current.hasChildren(chosen) && !current.closed.has(chosen)) {
      current.closed.add(chosen);
      update();
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

/** The entry of a trace in the list. */
function entry(/** @type {Trace} */ trace) {
  const errors = trace.spans.filter((span) => span.error).length;
  const requests = trace.spans.filter((span) => span.role === 'request').length;
  const services = new Set(trace.spans.map((span) => span.service)).size;
  const button = element('button');
  button.type = 'button';
  button.dataset.trace = trace.id;
  const facts = element('span', 'facts');
  const parts = [duration(trace.durationUs), requests > 0 ? counted(requests, 'request') : counted(trace.spans.length, 'span'), counted(services, 'service')];
  facts.append(parts.join(' · '));
  if (errors > 0) facts.append(' · ', element('span', 'bad', counted(errors, 'error')));
  button.append(element('span', 'id', trace.id.slice(0, 16)), element('span', 'facts', trace.spans[0]?.label ?? ''), facts);
  button.addEventListener('click', () => {
    history.pushState(null, '', `#${encodeURIComponent(trace.id)}`);
    follow();
  });
  const item = element('li');
  item.append(button);
  return item;
}

byId('source').textContent = data.source ?? '';
document.title = `${data.source ?? 'traces'} · navtrace`;
if ((data.leftOutSpans ?? 0) > 0 || (data.leftOutTraces ?? 0) > 0) {
  byId('left-out').hidden = false;
  byId('left-out').textContent =
    `${counted(data.leftOutTraces ?? 0, 'trace')} more with ${counted(data.leftOutSpans ?? 0, 'span')} in the file: navtrace view FILE TRACE_ID`;
}
byId('trace-count').textContent = counted(traces.length, 'trace');
byId('traces').append(...traces.map(entry));
byId('trace').hidden = traces.length === 0;
byId('trace').classList.add('critical-on');

byId('tools').addEventListener('input', update);
byId('tools').addEventListener('submit', (/** @type {Event} */ event) => event.preventDefault());
byId('critical').addEventListener('change', () => byId('trace').classList.toggle('critical-on', byId('critical').checked));
byId('next-error').addEventListener('click', nextError);
byId('copy-trace').addEventListener('click', () => current && copy(byId('copy-trace'), current.trace.id));
byId('help-button').addEventListener('click', toggleHelp);
grid.addEventListener('keydown', move);
addEventListener('hashchange', follow);
addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !panel.hidden) return closeDetails();
  const isTyping = event.target instanceof HTMLElement && event.target.matches('input, select');
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (event.key === '/') {
    event.preventDefault();
    byId('search').focus();
  } else if (event.key === 'e') nextError();
  else if (event.key === '?') toggleHelp();
  return undefined;
});
follow();
