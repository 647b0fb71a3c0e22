// The summary of a trace: its entry in the list, its legend, and the choices of its filters.

/** Limit for services in the legend. Each row names its service anyway. */
const MAX_IN_LEGEND = 12;

/** Creates the entry of a trace in the list. */
function entry(/** @type {Model} */ model, /** @type {() => void} */ open) {
  const { trace } = model;
  const button = element('button');
  button.type = 'button';
  button.dataset.trace = trace.id;
  const facts = element('span', 'facts');
  // Lines wrap between facts only.
  facts.append(model.facts().map((fact) => fact.replaceAll(' ', '\u00a0')).join(' · '), ...errorsOf(model));
  const name = element('span', 'name', model.root?.label ?? '');
  name.title = name.textContent ?? '';
  button.append(name, element('span', 'facts', clock(trace.startMs)), facts, element('span', 'id', trace.id));
  button.addEventListener('click', open);
  const item = element('li');
  item.append(button);
  return item;
}

/** Creates the legend of colours and lines. */
function legend(/** @type {Model} */ model) {
  const named = model.services.slice(0, MAX_IN_LEGEND);
  const items = named.map((service) => element('li', `service ${model.colour(service)}`, service));
  if (model.services.length > named.length) items.push(element('li', '', counted(model.services.length - named.length, 'more service')));
  const { spans } = model.trace;
  if (spans.some((span) => span.cached)) items.push(element('li', 'service cached', 'cache hit'));
  if (spans.some((span) => span.error)) items.push(element('li', 'service bad', 'error'));
  const events = new Set(spans.flatMap((span) => (span.role === 'navigation' ? span.events.map(({ name }) => name) : [])));
  for (const [name, text] of Object.entries(MOMENTS)) {
    if (events.has(name)) items.push(element('li', `line ${name}`, text));
  }
  return items;
}

/** Returns the number of errors as parts of a line; none without errors. */
function errorsOf(/** @type {Model} */ model) {
  return model.errors > 0 ? [' · ', element('span', 'bad', counted(model.errors, 'error'))] : [];
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
