// The details of a span, beside or below the waterfall.

/** @param {string} text @param {string} label */
const copyButton = (text, label) => {
  const button = element('button', '', label);
  button.type = 'button';
  button.addEventListener('click', () => copy(button, text));
  return button;
};

/** Copies a text to the clipboard and shows the result on the button. */
const copy = async (/** @type {HTMLElement} */ button, /** @type {string} */ text) => {
  button.dataset.label ??= button.textContent ?? '';
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch {
    button.textContent = 'Not allowed here';
  }
  setTimeout(() => (button.textContent = button.dataset.label ?? ''), 1500);
};

/** @param {[string, unknown][]} pairs */
const table = (pairs) => {
  const made = element('table');
  const body = element('tbody');
  for (const [key, value] of pairs) {
    const row = element('tr');
    const head = element('th');
    // Long names wrap between their words.
    for (const part of (key === '' ? '(no name)' : key).split(/(?<=[._])|(?<=[a-z])(?=[A-Z])/)) head.append(part, element('wbr'));
    head.scope = 'row';
    const cell = element('td', '', value instanceof Node ? '' : plain(value));
    if (value instanceof Node) cell.append(value);
    row.append(head, cell);
    body.append(row);
  }
  made.append(body);
  return made;
};

/**
 * Shows a span in the details panel.
 * @param {HTMLElement} panel
 * @param {Model} model
 * @param {number} spanIndex
 * @param {{close: () => void, has: (traceId: string, spanId: string) => boolean, zoom: () => void}} page
 */
const showDetails = (panel, model, spanIndex, page) => {
  const { trace } = model;
  const span = trace.spans[spanIndex];
  const top = element('div', 'top');
  const close = element('button', '', 'Close');
  close.type = 'button';
  close.addEventListener('click', page.close);
  top.append(element('h2', '', span.label), close);
  const actions = element('p', 'actions');
  const zoom = element('button', '', 'Zoom to span');
  zoom.type = 'button';
  zoom.addEventListener('click', page.zoom);
  actions.append(copyButton(span.id, 'Copy span id'), ' ', copyButton(trace.id, 'Copy trace id'), ' ', zoom);

  /** @type {[string, unknown][]} */
  const facts = [
    ['service', span.service],
    ['name', span.name],
    ['kind', span.kind === '' ? 'unspecified' : span.kind],
    ['duration', duration(span.durationUs)],
    ['start', `${duration(span.startUs)} after the trace began`],
    ['time', clock(trace.startMs + (span.startUs - span.movedUs) / 1000)],
    ['status', span.error ? element('span', 'bad', `✗ error${span.message === '' ? '' : `: ${span.message}`}`) : `no error${span.message === '' ? '' : `: ${span.message}`}`],
    ['span id', span.id],
    ['parent', parentOf(model, spanIndex)],
  ];
  if (span.fault !== null) facts.push(['times', `can't be right: ${span.fault}`]);
  if (span.cached) facts.push(['answered by', "the browser's cache"]);
  if (span.critical) facts.push(['critical path', 'yes, the trace waited for this span']);
  panel.replaceChildren(top, actions, table(facts));

  /** @param {string} title @param {Node[]} parts */
  const section = (title, parts) => panel.append(element('h3', '', title), ...parts);
  if (span.attributes.length > 0) section('Attributes', [table(span.attributes)]);
  if (span.events.length > 0) {
    section('Events', [table(span.events.map((event) => [event.name, eventText(event)]))]);
  }
  if (span.links.length > 0) {
    section('Links', [table(span.links.map((link) => ['to', linkTo(link.traceId, link.spanId, page.has(link.traceId, link.spanId))]))]);
  }
  if (span.resource.length > 0) section('Resource', [table(span.resource)]);
  panel.hidden = false;
  panel.scrollTop = 0;
};

/** @param {Span['events'][number]} event */
const eventText = (event) =>
  [event.afterUs < 0 ? 'before the span began' : `${duration(event.afterUs)} after the span began`, ...event.attributes.map(([key, value]) => `${key} = ${plain(value)}`)].join('\n');

/** @param {Model} model @param {number} spanIndex */
const parentOf = (model, spanIndex) => {
  const [{ parent, remark }, above] = [model.trace.spans[spanIndex], model.parents[spanIndex]];
  if (above >= 0) return linkTo(model.trace.id, model.keys[above], true);
  return parent === null ? 'none, this is the root' : `${parent} (${remark})`;
};

/** @param {string} traceId @param {string} spanId @param {boolean} isHere */
const linkTo = (traceId, spanId, isHere) => {
  if (!isHere) return `${traceId}/${spanId} (not in this file)`;
  const anchor = element('a', '', spanId);
  anchor.setAttribute('href', `#${encodeURIComponent(traceId)}/${encodeURIComponent(spanId)}`);
  return anchor;
};
