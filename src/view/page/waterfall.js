// The waterfall: only the rows that can be seen are elements, and they are used again when others come into view.

const ROW_HEIGHT = 26;

/** Rows beyond the edges, so that a fast wheel meets no gap. */
const SPARE_ROWS = 10;

/** How far a level is indented, and how many levels are. */
const INDENT = 14;
const MOST_INDENTED = 16;

class Waterfall {
  /**
   * @param {HTMLElement} grid
   * @param {HTMLElement} sizer
   * @param {{choose: (place: number, open: boolean) => void, changed: () => void}} page
   */
  constructor(grid, sizer, page) {
    this.grid = grid;
    this.sizer = sizer;
    this.page = page;
    /** @type {Model|null} */
    this.model = null;
    /** @type {{place: number, isContext: boolean}[]} */
    this.rows = [];
    /** Elements by the numbers of their rows. @type {Map<number, Row>} */
    this.shown = new Map();
    /** @type {Row[]} */
    this.spare = [];
    this.chosen = -1;
    this.frame = 0;
    grid.addEventListener('scroll', () => this.later(), { passive: true });
    new ResizeObserver(() => this.later()).observe(grid);
  }

  /** Shows these rows. */
  set(/** @type {Model} */ model, /** @type {Waterfall['rows']} */ rows) {
    if (this.model !== model) this.grid.scrollTop = 0;
    this.model = model;
    this.rows = rows;
    for (const row of this.shown.values()) this.put(row);
    this.shown.clear();
    this.sizer.style.height = `${rows.length * ROW_HEIGHT}px`;
    this.grid.setAttribute('aria-rowcount', String(rows.length));
    this.draw();
  }

  /** Makes a span the chosen one, and brings it into view. */
  choose(/** @type {number} */ place) {
    this.chosen = place;
    const number = this.numberOf(place);
    if (number >= 0) {
      const top = number * ROW_HEIGHT;
      const { scrollTop, clientHeight } = this.grid;
      if (top < scrollTop) this.grid.scrollTop = top;
      else if (top + ROW_HEIGHT > scrollTop + clientHeight) this.grid.scrollTop = top + ROW_HEIGHT - clientHeight;
    }
    for (const row of this.shown.values()) this.put(row);
    this.shown.clear();
    this.draw();
  }

  numberOf(/** @type {number} */ place) {
    return this.rows.findIndex((row) => row.place === place);
  }

  later() {
    if (this.frame === 0) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.draw();
      });
    }
  }

  draw() {
    const first = Math.max(0, Math.floor(this.grid.scrollTop / ROW_HEIGHT) - SPARE_ROWS);
    const last = Math.min(this.rows.length, Math.ceil((this.grid.scrollTop + this.grid.clientHeight) / ROW_HEIGHT) + SPARE_ROWS);
    for (const [number, row] of this.shown) {
      if (number < first || number >= last) {
        this.put(row);
        this.shown.delete(number);
      }
    }
    for (let number = first; number < last; number += 1) {
      if (!this.shown.has(number)) {
        const row = this.spare.pop() ?? new Row(this);
        row.fill(number);
        this.shown.set(number, row);
      }
    }
    // What is left over is out of sight and out of the accessibility tree.
    for (const row of this.spare) row.element.remove();
    const active = this.shown.get(this.numberOf(this.chosen));
    if (active) this.grid.setAttribute('aria-activedescendant', active.element.id);
    else this.grid.removeAttribute('aria-activedescendant');
  }

  put(/** @type {Row} */ row) {
    this.spare.push(row);
  }
}

let rowsMade = 0;

/** The elements of one row. */
class Row {
  constructor(/** @type {Waterfall} */ waterfall) {
    this.waterfall = waterfall;
    this.place = -1;
    this.element = element('div', 'row');
    rowsMade += 1;
    this.element.id = `row-${rowsMade}`;
    this.element.setAttribute('role', 'row');
    this.label = element('span', 'label');
    this.twisty = element('span', 'twisty');
    this.twisty.setAttribute('aria-hidden', 'true');
    this.mark = element('span', 'mark');
    this.name = element('span', 'name');
    this.note = element('span', 'note');
    this.label.append(this.twisty, this.mark, this.name, this.note);
    this.service = element('span', 'service');
    this.track = element('span', 'track');
    this.bar = element('span', 'bar');
    this.track.append(this.bar);
    this.duration = element('span', 'duration');
    for (const cell of [this.label, this.service, this.track, this.duration]) cell.setAttribute('role', 'gridcell');
    this.element.append(this.label, this.service, this.track, this.duration);
    this.twisty.addEventListener('click', (event) => {
      event.stopPropagation();
      this.toggle();
    });
    this.element.addEventListener('click', () => waterfall.page.choose(this.place, true));
  }

  toggle() {
    const { model, page } = this.waterfall;
    if (!model || !model.hasChildren(this.place)) return;
    if (!model.closed.delete(this.place)) model.closed.add(this.place);
    page.changed();
  }

  /** Shows the span of a row. */
  fill(/** @type {number} */ number) {
    const { model, rows, chosen, sizer } = this.waterfall;
    if (!model) return;
    const { place, isContext } = rows[number];
    const span = model.trace.spans[place];
    this.place = place;
    const classes = ['row', model.colour(span.service)];
    for (const [name, is] of Object.entries({
      group: span.role === 'navigation', error: span.error, cached: span.cached, critical: span.critical, context: isContext, chosen: place === chosen,
    })) {
      if (is) classes.push(name);
    }
    this.element.className = classes.join(' ');
    this.element.style.transform = `translateY(${number * ROW_HEIGHT}px)`;
    const isParent = model.hasChildren(place);
    const isClosed = model.closed.has(place);
    this.element.setAttribute('aria-rowindex', String(number + 1));
    this.element.setAttribute('aria-level', String(span.depth + 1));
    this.element.setAttribute('aria-selected', String(place === chosen));
    if (isParent) this.element.setAttribute('aria-expanded', String(!isClosed));
    else this.element.removeAttribute('aria-expanded');

    this.label.style.paddingLeft = `${Math.min(span.depth, MOST_INDENTED) * INDENT}px`;
    this.twisty.textContent = isParent ? (isClosed ? '▸' : '▾') : '';
    this.mark.textContent = span.error ? '✗ ' : '';
    this.name.textContent = span.label;
    this.label.title = span.label;
    const notes = [span.cached ? 'cache' : '', span.orphan ? 'parent missing' : '', isClosed ? `${model.after[place] - place - 1} below` : ''];
    const note = notes.filter((text) => text !== '').join(', ');
    this.note.textContent = note === '' ? '' : ` (${note})`;
    this.service.textContent = span.service;
    this.duration.textContent = duration(span.durationUs);
    this.fillTrack(span, model.trace.durationUs);
    if (!this.element.isConnected) sizer.append(this.element);
  }

  fillTrack(/** @type {Span} */ span, /** @type {number} */ total) {
    const share = (/** @type {number} */ us) => `${Math.min(100, (us / Math.max(total, 1)) * 100)}%`;
    this.bar.style.left = share(span.startUs);
    this.bar.style.width = share(Math.min(span.durationUs, Math.max(total - span.startUs, 0)));
    this.track.style.setProperty('--from', this.bar.style.left);
    this.track.style.setProperty('--length', this.bar.style.width);
    while (this.track.childElementCount > 1) this.track.lastElementChild?.remove();
    if (span.role !== 'navigation') return;
    for (const event of span.events.filter(({ name }) => ['commit', 'domContentLoaded', 'load'].includes(name))) {
      const moment = element('span', 'moment');
      moment.title = `${event.name}: ${duration(event.timeUs - span.startUs)} after the navigation's begin`;
      moment.style.left = share(event.timeUs);
      this.track.append(moment);
    }
  }
}

/** Draws the time axis. */
const drawAxis = (/** @type {HTMLElement} */ axis, /** @type {number} */ total) => {
  const ticks = element('div', 'ticks');
  const count = 4;
  for (let tick = 0; tick < count; tick += 1) {
    const mark = element('span', '', duration(Math.round((total * tick) / count)));
    mark.style.left = `${(tick / count) * 100}%`;
    ticks.append(mark);
  }
  axis.replaceChildren(ticks);
};
