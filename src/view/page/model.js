// The data of the page and what is derived from it. Only `element` touches the document.

/**
 * @typedef {{id: string, parent: string|null, depth: number, service: string, name: string, label: string,
 *   role: string, kind: string, error: boolean, message: string, cached: boolean,
 *   attributes: [string, unknown][], resource: [string, unknown][],
 *   events: {name: string, afterUs: number, attributes: [string, unknown][]}[], links: {traceId: string, spanId: string}[], remark: string|null} & Place} Span
 * @typedef {{startUs: number, durationUs: number, movedUs: number, fault: string|null, critical: boolean}} Place
 * @typedef {{id: string, startMs: number, durationUs: number, link: string|null, spans: Span[], clocks: string[],
 *   corrected: {startMs: number, durationUs: number, spans: [number, Place][]}|null}} Trace
 * @typedef {{spanIndex: number, isAncestor: boolean, isParent: boolean}} RowData a row: its span, whether it only leads to a match, whether it can be collapsed
 * @typedef {{search: string, service: string, kind: string, errors: boolean, uncached: boolean}} Filter
 */

/** Number of colours for services; more services share them. */
const COLOURS = 8;

/** Formats a duration in microseconds. */
const duration = (/** @type {number} */ us) => {
  if (us < 1000) return `${us} µs`;
  return us < 1e6 ? `${(us / 1e3).toFixed(us < 1e5 ? 1 : 0)} ms` : `${(us / 1e6).toFixed(2)} s`;
};

/** Formats a time in milliseconds since the epoch. */
const clock = (/** @type {number} */ ms) => {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? 'at an unknown time' : date.toISOString().replace('T', ' ').replace('Z', ' UTC');
};

/** Formats a count with its noun. */
const counted = (/** @type {number} */ count, /** @type {string} */ noun, /** @type {string} */ many = `${noun}s`) =>
  `${count.toLocaleString('en')} ${count === 1 ? noun : many}`;

/** Formats the value of an attribute. */
const plain = (/** @type {unknown} */ value) => (typeof value === 'string' ? value : JSON.stringify(value));

/** Returns a trace as if all clocks were right. @returns {Trace} */
const withCorrectClocks = (/** @type {Trace} */ trace) => {
  if (trace.corrected === null) return trace;
  const { spans, ...times } = trace.corrected;
  return { ...trace, ...times, spans: spans.map(([index, place]) => ({ ...trace.spans[index], ...place })) };
};

/** A trace with indexes for quick lookup. Spans are in the order of the waterfall: parents first. */
class Model {
  constructor(/** @type {Trace} */ trace) {
    this.trace = trace;
    const count = trace.spans.length;
    /** The indexes of spans by their keys: the id, with a number for further spans of the same id. @type {Map<string, number>} */
    this.indexes = new Map();
    /** The key of each span. @type {string[]} */
    this.keys = trace.spans.map(({ id }, spanIndex) => {
      let key = id;
      for (let copy = 2; this.indexes.has(key); copy += 1) key = `${id}~${copy}`;
      this.indexes.set(key, spanIndex);
      return key;
    });
    /** For each span the index of its parent, or -1. */
    this.parents = new Int32Array(count).fill(-1);
    /** For each span the index behind its last descendant. */
    this.after = new Int32Array(count).fill(count);
    const open = [];
    for (let spanIndex = 0; spanIndex < count; spanIndex += 1) {
      while (open.length > 0 && trace.spans[open.at(-1)].depth >= trace.spans[spanIndex].depth) this.after[open.pop()] = spanIndex;
      if (open.length > 0) this.parents[spanIndex] = open.at(-1);
      open.push(spanIndex);
    }
    this.services = [...new Set(trace.spans.map((span) => span.service))];
    this.kinds = [...new Set(trace.spans.map((span) => span.kind).filter((kind) => kind !== ''))].sort();
    this.colours = new Map(this.services.map((service, index) => [service, `c${index % COLOURS}`]));
    this.errors = trace.spans.filter((span) => span.error).length;
    this.requests = trace.spans.filter((span) => span.role === 'request').length;
    this.root = trace.spans.find((span) => span.depth === 0 && span.remark === null) ?? trace.spans[0];
    /** The filter of the latest rows as JSON; empty for none. */
    this.filtered = '';
    /** Indexes of collapsed spans: without a filter, and with the current one. @type {[Set<number>, Set<number>]} */
    this.collapsedSets = [new Set(), new Set()];
    /** The text of each span that the search looks at, once it was needed. @type {(string|undefined)[]} */
    this.texts = new Array(count);
  }

  /** Indexes of the spans whose descendants are hidden. */
  get collapsed() {
    return this.collapsedSets[this.filtered === '' ? 0 : 1];
  }

  colour(/** @type {string} */ service) {
    return this.colours.get(service) ?? 'c0';
  }

  /** A summary of the trace in a few words. */
  facts() {
    return [
      duration(this.trace.durationUs),
      counted(this.trace.spans.length, 'span'),
      this.requests > 0 ? counted(this.requests, 'request') : '',
      counted(this.services.length, 'service'),
    ].filter((fact) => fact !== '');
  }

  /** Sentences about times that can't be right, and clocks that are off. */
  notes() {
    const faults = this.trace.spans.filter(({ fault }) => fault !== null).length;
    const [spans, where] = faults === 1 ? ['1 span has', 'is drawn at its parent'] : [`${counted(faults, 'span')} have`, 'are drawn at their parents'];
    return [...(faults > 0 ? [`${spans} times that can't be right, and ${where}.`] : []), ...this.trace.clocks.map((sentence) => `T${sentence.slice(1)}.`)];
  }

  text(/** @type {number} */ spanIndex) {
    const span = this.trace.spans[spanIndex];
    this.texts[spanIndex] ??= [span.label, span.name, span.service, span.id, span.message, ...span.attributes.flat().map(plain)]
      .join('\n')
      .toLowerCase();
    return this.texts[spanIndex];
  }

  matches(/** @type {number} */ spanIndex, /** @type {Filter} */ filter) {
    const span = this.trace.spans[spanIndex];
    return (
      (!filter.errors || span.error) &&
      (!filter.uncached || !span.cached) &&
      (filter.service === '' || span.service === filter.service) &&
      (filter.kind === '' || span.kind === filter.kind) &&
      (filter.search === '' || this.text(spanIndex).includes(filter.search))
    );
  }

  /**
   * Returns the rows to show: the spans that match the filter and their ancestors, without the descendants of collapsed spans.
   * `matches` counts the matching spans, and is null without a filter.
   * @returns {{rows: RowData[], matches: number|null}}
   */
  rows(/** @type {Filter} */ filter) {
    const { errors, uncached, service, kind, search } = filter;
    const filtered = errors || uncached || service + kind + search !== '' ? JSON.stringify(filter) : '';
    // Collapsed spans are kept for one filter only.
    if (filtered !== this.filtered) this.collapsedSets[1].clear();
    this.filtered = filtered;
    const count = this.trace.spans.length;
    // 0: hidden, 1: ancestor of a match, 2: match.
    const shown = new Uint8Array(count).fill(filtered === '' ? 2 : 0);
    let matches = 0;
    for (let spanIndex = 0; spanIndex < count && filtered !== ''; spanIndex += 1) {
      if (!this.matches(spanIndex, filter)) continue;
      matches += 1;
      shown[spanIndex] = 2;
      for (let above = this.parents[spanIndex]; above >= 0 && shown[above] === 0; above = this.parents[above]) shown[above] = 1;
    }
    /** @type {RowData[]} */
    const rows = [];
    for (let spanIndex = 0; spanIndex < count; spanIndex = this.collapsed.has(spanIndex) ? this.after[spanIndex] : spanIndex + 1) {
      if (shown[spanIndex] > 0) rows.push({ spanIndex, isAncestor: shown[spanIndex] === 1, isParent: this.collapsed.has(spanIndex) });
    }
    for (let row = 0; row + 1 < rows.length; row += 1) {
      if (rows[row + 1].spanIndex < this.after[rows[row].spanIndex]) rows[row].isParent = true;
    }
    return { rows, matches: filtered === '' ? null : matches };
  }
}

/** Creates an element. Its text is never parsed as markup. */
const element = (/** @type {string} */ tag, /** @type {string} */ className = '', /** @type {string} */ text = '') => {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  if (text !== '') made.textContent = text;
  return made;
};
