// The waterfall: only the rows that can be seen are elements, and they are used again when others come into view.

const ROW_HEIGHT = 26;

/** Rows beyond the edges, so that a fast wheel meets no gap. */
const SPARE_ROWS = 10;

/** How far a level is indented, and how many levels are. */
const INDENT = 14;
const MOST_INDENTED = 16;

/** How wide a mark of the time axis is at least, in pixels. */
const TICK = 60;

/** The moments of a navigation that are drawn, and what they are called. @type {Record<string, string>} */
const MOMENTS = { commit: 'commit', domContentLoaded: 'DOMContentLoaded', load: 'load' };

class Waterfall {
  /**
   * @param {HTMLElement} grid
   * @param {HTMLElement} sizer
   * @param {HTMLElement} ticks
   * @param {{choose: (place: number, open: boolean) => void, toggle: (place: number) => void}} page
   */
  constructor(grid, sizer, ticks, page) {
    this.grid = grid;
    this.sizer = sizer;
    this.ticks = ticks;
    this.page = page;
    /** @type {Model|null} */
    this.model = null;
    /** @type {Line[]} */
    this.rows = [];
    /** Numbers of rows by the places of their spans. @type {Map<number, number>} */
    this.numbers = new Map();
    /** The part of the trace that the tracks show, in microseconds. */
    this.range = { from: 0, length: 1 };
    /** Elements by the numbers of their rows. @type {Map<number, Row>} */
    this.shown = new Map();
    /** @type {Row[]} */
    this.spare = [];
    this.chosen = -1;
    /** Whether what the elements show is no longer so. */
    this.isStale = false;
    this.frame = 0;
    grid.addEventListener('scroll', () => this.later(), { passive: true });
    new ResizeObserver(() => {
      this.drawTicks();
      this.later();
    }).observe(grid);
  }

  /** Shows these rows. */
  set(/** @type {Model} */ model, /** @type {Line[]} */ rows) {
    if (this.model !== model) {
      this.grid.scrollTop = 0;
      this.model = model;
      this.show(0, model.trace.durationUs);
    }
    this.rows = rows;
    this.numbers = new Map(rows.map(({ place }, number) => [place, number]));
    this.isStale = true;
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
    this.isStale = true;
    this.draw();
  }

  /** Has the tracks show this part of the trace. */
  show(/** @type {number} */ from, /** @type {number} */ length) {
    this.range = { from, length: Math.max(length, 1) };
    this.drawTicks();
    this.isStale = true;
    this.later();
  }

  get isZoomed() {
    return this.model !== null && (this.range.from > 0 || this.range.length < this.model.trace.durationUs);
  }

  /** Where a moment is on the tracks, in percent. */
  share(/** @type {number} */ us) {
    return ((us - this.range.from) / this.range.length) * 100;
  }

  /** Draws the time axis, whose lines go on through the rows. */
  drawTicks() {
    const { from, length } = this.range;
    const width = this.ticks.clientWidth;
    const most = Math.max(1, Math.floor(width / TICK));
    const power = 10 ** Math.floor(Math.log10(length / most));
    const step = Math.max(1, [1, 2, 5, 10].map((digit) => digit * power).find((size) => length / size <= most) ?? length);
    const end = from + length;
    const [unit, name] = end >= 1e6 ? [1e6, 's'] : end >= 1e3 ? [1e3, 'ms'] : [1, 'µs'];
    const digits = Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9));
    const first = Math.ceil(from / step) * step;
    const marks = [];
    for (let at = first; at < end; at += step) {
      // The last one has no room for its text, unless there is as much as for the others.
      const isCut = (1 - this.share(at) / 100) * width < TICK - 8;
      const mark = element('span', '', isCut ? '' : `${(at / unit).toFixed(digits)} ${name}`);
      mark.style.left = `${this.share(at)}%`;
      marks.push(mark);
    }
    this.ticks.replaceChildren(...marks);
    this.grid.style.setProperty('--first', `${this.share(first)}%`);
    this.grid.style.setProperty('--step', `${(step / length) * 100}%`);
  }

  numberOf(/** @type {number} */ place) {
    return this.numbers.get(place) ?? -1;
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
        row.element.remove();
        this.spare.push(row);
        this.shown.delete(number);
      }
    }
    // Elements stand in the order of the rows, which is what a screen reader goes by.
    let next = this.sizer.firstElementChild;
    for (let number = first; number < last; number += 1) {
      let row = this.shown.get(number);
      if (!row || this.isStale) {
        row ??= this.spare.pop() ?? new Row(this);
        row.fill(number);
        this.shown.set(number, row);
      }
      if (row.element === next) next = next.nextElementSibling;
      else this.sizer.insertBefore(row.element, next);
    }
    this.isStale = false;
    const active = this.shown.get(this.numberOf(this.chosen));
    if (active) this.grid.setAttribute('aria-activedescendant', active.element.id);
    else this.grid.removeAttribute('aria-activedescendant');
  }
}

/** The elements of one row. */
class Row {
  constructor(/** @type {Waterfall} */ waterfall) {
    this.waterfall = waterfall;
    this.place = -1;
    this.element = element('div', 'row');
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
      waterfall.page.toggle(this.place);
    });
    this.element.addEventListener('click', () => waterfall.page.choose(this.place, true));
  }

  /** Shows the span of a row. */
  fill(/** @type {number} */ number) {
    const { model, rows, chosen } = this.waterfall;
    if (!model) return;
    const { place, isContext, isParent } = rows[number];
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
    const isClosed = model.closed.has(place);
    this.element.id = `row-${number}`;
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
    this.fillTrack(span);
  }

  fillTrack(/** @type {Span} */ span) {
    const { waterfall } = this;
    const from = Math.max(0, waterfall.share(span.startUs));
    const to = Math.min(100, waterfall.share(span.startUs + span.durationUs));
    const isOutside = from > 100 || to < 0;
    this.bar.hidden = isOutside;
    this.track.style.setProperty('--from', `${from}%`);
    this.track.style.setProperty('--length', isOutside ? '0%' : `${to - from}%`);
    this.track.classList.toggle('outside', isOutside);
    while (this.track.childElementCount > 1) this.track.lastElementChild?.remove();
    if (span.role !== 'navigation') return;
    for (const event of span.events) {
      const at = waterfall.share(event.timeUs);
      if (!Object.hasOwn(MOMENTS, event.name) || at < 0 || at > 100) continue;
      const moment = element('span', `moment ${event.name}`);
      moment.title = `${MOMENTS[event.name]}: ${duration(Math.max(0, event.timeUs - span.startUs))} after the navigation began`;
      moment.style.left = `${at}%`;
      this.track.append(moment);
    }
  }
}
