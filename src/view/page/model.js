// What is shown: the data of this page, and what follows from it. Nothing here touches the document.

/**
 * @typedef {{id: string, parent: string|null, depth: number, orphan: boolean, service: string, name: string, label: string,
 *   role: string, kind: string, startUs: number, durationUs: number, error: boolean, message: string, cached: boolean, critical: boolean,
 *   attributes: [string, unknown][], resource: [string, unknown][],
 *   events: {name: string, timeUs: number, attributes: [string, unknown][]}[], links: {traceId: string, spanId: string}[]}} Span
 * @typedef {{id: string, startMs: number, durationUs: number, link: string|null, spans: Span[]}} Trace
 * @typedef {{place: number, isContext: boolean, isParent: boolean}} Line a row: the place of its span, and whether it is there for another's sake
 * @typedef {{search: string, service: string, kind: string, errors: boolean, uncached: boolean}} Filter
 */

/** How many colours services are told apart by. */
const COLOURS = 8;

/** Writes a duration of microseconds. */
const duration = (/** @type {number} */ us) => {
  if (us < 1000) return `${us} µs`;
  return us < 1e6 ? `${(us / 1e3).toFixed(us < 1e5 ? 1 : 0)} ms` : `${(us / 1e6).toFixed(2)} s`;
};

/** Writes a time of the clock, in milliseconds since the epoch. */
const clock = (/** @type {number} */ ms) => {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? 'at an unknown time' : date.toISOString().replace('T', ' ').replace('Z', ' UTC');
};

/** Writes a number of things. */
const counted = (/** @type {number} */ count, /** @type {string} */ noun, /** @type {string} */ many = `${noun}s`) =>
  `${count.toLocaleString('en')} ${count === 1 ? noun : many}`;

/** Writes a value of an attribute. */
const plain = (/** @type {unknown} */ value) => (typeof value === 'string' ? value : JSON.stringify(value));

/** A trace with what is looked up often: places of spans, their parents' places, and where their descendants end. */
class Model {
  constructor(/** @type {Trace} */ trace) {
    this.trace = trace;
    /** @type {Map<string, number>} */
    this.places = new Map(trace.spans.map((span, place) => [span.id, place]));
    const count = trace.spans.length;
    this.parents = new Int32Array(count).fill(-1);
    this.after = new Int32Array(count).fill(count);
    const open = [];
    for (let place = 0; place < count; place += 1) {
      while (open.length > 0 && trace.spans[open.at(-1)].depth >= trace.spans[place].depth) this.after[open.pop()] = place;
      if (open.length > 0) this.parents[place] = open.at(-1);
      open.push(place);
    }
    this.services = [...new Set(trace.spans.map((span) => span.service))];
    this.kinds = [...new Set(trace.spans.map((span) => span.kind).filter((kind) => kind !== ''))].sort();
    this.colours = new Map(this.services.map((service, number) => [service, `c${number % COLOURS}`]));
    this.errors = trace.spans.filter((span) => span.error).length;
    this.requests = trace.spans.filter((span) => span.role === 'request').length;
    this.root = trace.spans.find((span) => span.depth === 0 && !span.orphan) ?? trace.spans[0];
    /** The filter of the rows made last, where there was one. */
    this.filtered = '';
    /** Spans whose descendants are hidden: without a filter, and with this one. @type {[Set<number>, Set<number>]} */
    this.closings = [new Set(), new Set()];
    /** What a span is searched for in, once it was. @type {(string|undefined)[]} */
    this.texts = new Array(count);
  }

  /** Spans whose descendants are hidden, by their places. */
  get closed() {
    return this.closings[this.filtered === '' ? 0 : 1];
  }

  colour(/** @type {string} */ service) {
    return this.colours.get(service) ?? 'c0';
  }

  /** What there is to say of the trace in a line. */
  facts() {
    return [
      duration(this.trace.durationUs),
      counted(this.trace.spans.length, 'span'),
      this.requests > 0 ? counted(this.requests, 'request') : '',
      counted(this.services.length, 'service'),
    ].filter((fact) => fact !== '');
  }

  text(/** @type {number} */ place) {
    const span = this.trace.spans[place];
    this.texts[place] ??= [span.label, span.name, span.service, span.id, span.message, ...span.attributes.flat().map(plain)]
      .join('\n')
      .toLowerCase();
    return this.texts[place];
  }

  matches(/** @type {number} */ place, /** @type {Filter} */ filter) {
    const span = this.trace.spans[place];
    return (
      (!filter.errors || span.error) &&
      (!filter.uncached || !span.cached) &&
      (filter.service === '' || span.service === filter.service) &&
      (filter.kind === '' || span.kind === filter.kind) &&
      (filter.search === '' || this.text(place).includes(filter.search))
    );
  }

  /**
   * The rows to show: all spans that no closed one hides; with a filter, of those the ones that match and, for their place, what is above them.
   * @returns {{rows: Line[], matches: number|null}}
   */
  rows(/** @type {Filter} */ filter) {
    const { errors, uncached, service, kind, search } = filter;
    const filtered = errors || uncached || service + kind + search !== '' ? JSON.stringify(filter) : '';
    // What was closed among the matches of another filter says nothing of these.
    if (filtered !== this.filtered) this.closings[1].clear();
    this.filtered = filtered;
    const count = this.trace.spans.length;
    const shown = new Uint8Array(count).fill(filtered === '' ? 2 : 0);
    let matches = 0;
    for (let place = 0; place < count && filtered !== ''; place += 1) {
      if (!this.matches(place, filter)) continue;
      matches += 1;
      shown[place] = 2;
      for (let above = this.parents[place]; above >= 0 && shown[above] === 0; above = this.parents[above]) shown[above] = 1;
    }
    /** @type {Line[]} */
    const rows = [];
    for (let place = 0; place < count; place = this.closed.has(place) ? this.after[place] : place + 1) {
      if (shown[place] > 0) rows.push({ place, isContext: shown[place] === 1, isParent: this.closed.has(place) });
    }
    for (let number = 0; number + 1 < rows.length; number += 1) {
      if (rows[number + 1].place < this.after[rows[number].place]) rows[number].isParent = true;
    }
    return { rows, matches: filtered === '' ? null : matches };
  }
}

/** Makes an element. Text is text, whatever is in it. */
const element = (/** @type {string} */ tag, /** @type {string} */ className = '', /** @type {string} */ text = '') => {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  if (text !== '') made.textContent = text;
  return made;
};
