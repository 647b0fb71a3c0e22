// The waterfall. Only visible rows have elements, which are reused when others come into view.

/** In pixels, as in page.css. */
const ROW_HEIGHT = 26;

/** Rows above and below the visible ones, so that fast scrolling shows no gaps. */
const SPARE_ROWS = 10;

/** Indentation per level, in pixels, and the deepest level that is indented. */
const INDENT = 14;
const MAX_INDENTED = 16;

/** Shortest distance between two ticks of the time axis, in pixels. */
const TICK = 60;

/** The events of a navigation that are drawn as lines, with their labels. @type {Record<string, string>} */
const MOMENTS = { commit: 'commit', domContentLoaded: 'DOMContentLoaded', load: 'load' };

class Waterfall {
  /**
   * @param {HTMLElement} grid
   * @param {HTMLElement} sizer
   * @param {HTMLElement} ticks
   * @param {{choose: (spanIndex: number, open: boolean) => void, toggle: (spanIndex: number) => void}} page
   */
  constructor(grid, sizer, ticks, page) {
    this.grid = grid;
    this.sizer = sizer;
    this.ticks = ticks;
    this.page = page;
    /** @type {Model|null} */
    this.model = null;
    /** @type {RowData[]} */
    this.rows = [];
    /** Indexes of rows by the indexes of their spans. @type {Map<number, number>} */
    this.rowIndexes = new Map();
    /** The visible part of the trace, in microseconds. */
    this.range = { from: 0, length: 1 };
    /** The rows that have elements, by row index. @type {Map<number, Row>} */
    this.shown = new Map();
    /** Rows to reuse. @type {Row[]} */
    this.unused = [];
    this.chosen = -1;
    /** Whether the elements must be filled again. */
    this.needsFill = false;
    this.frame = 0;
    grid.addEventListener('scroll', () => this.drawLater(), { passive: true });
    new ResizeObserver(() => {
      this.drawTicks();
      this.drawLater();
    }).observe(grid);
  }

  /** Shows these rows. */
  set(/** @type {Model} */ model, /** @type {RowData[]} */ rows) {
    if (this.model !== model) {
      this.grid.scrollTop = 0;
      this.model = model;
      this.show(0, model.trace.durationUs);
    }
    this.rows = rows;
    this.rowIndexes = new Map(rows.map(({ spanIndex }, rowIndex) => [spanIndex, rowIndex]));
    this.needsFill = true;
    this.sizer.style.height = `${rows.length * ROW_HEIGHT}px`;
    this.grid.setAttribute('aria-rowcount', String(rows.length));
    this.draw();
  }

  /** Selects a span and scrolls to it. */
  choose(/** @type {number} */ spanIndex) {
    this.chosen = spanIndex;
    const rowIndex = this.rowIndexOf(spanIndex);
    if (rowIndex >= 0) {
      const top = rowIndex * ROW_HEIGHT;
      const { scrollTop, clientHeight } = this.grid;
      if (top < scrollTop) this.grid.scrollTop = top;
      else if (top + ROW_HEIGHT > scrollTop + clientHeight) this.grid.scrollTop = top + ROW_HEIGHT - clientHeight;
    }
    this.needsFill = true;
    this.draw();
  }

  /** Zooms to a part of the trace, in microseconds. */
  show(/** @type {number} */ from, /** @type {number} */ length) {
    this.range = { from, length: Math.max(length, 1) };
    this.drawTicks();
    this.needsFill = true;
    this.drawLater();
  }

  get isZoomed() {
    return this.model !== null && (this.range.from > 0 || this.range.length < this.model.trace.durationUs);
  }

  /** Converts a time to a position on the time axis, in percent. */
  percentAt(/** @type {number} */ us) {
    return ((us - this.range.from) / this.range.length) * 100;
  }

  /** Draws the time axis. Its lines continue through the rows. */
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
      // The last tick has a label only if there is enough room.
      const isCut = (1 - this.percentAt(at) / 100) * width < TICK - 8;
      const mark = element('span', '', isCut ? '' : `${(at / unit).toFixed(digits)} ${name}`);
      mark.style.left = `${this.percentAt(at)}%`;
      marks.push(mark);
    }
    this.ticks.replaceChildren(...marks);
    this.grid.style.setProperty('--first', `${this.percentAt(first)}%`);
    this.grid.style.setProperty('--step', `${(step / length) * 100}%`);
  }

  rowIndexOf(/** @type {number} */ spanIndex) {
    return this.rowIndexes.get(spanIndex) ?? -1;
  }

  drawLater() {
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
    for (const [rowIndex, row] of this.shown) {
      if (rowIndex < first || rowIndex >= last) {
        row.element.remove();
        this.unused.push(row);
        this.shown.delete(rowIndex);
      }
    }
    // Keep the elements in the order of the rows, for screen readers.
    let next = this.sizer.firstElementChild;
    for (let rowIndex = first; rowIndex < last; rowIndex += 1) {
      let row = this.shown.get(rowIndex);
      if (!row || this.needsFill) {
        row ??= this.unused.pop() ?? new Row(this);
        row.fill(rowIndex);
        this.shown.set(rowIndex, row);
      }
      if (row.element === next) next = next.nextElementSibling;
      else this.sizer.insertBefore(row.element, next);
    }
    this.needsFill = false;
    const active = this.shown.get(this.rowIndexOf(this.chosen));
    if (active) this.grid.setAttribute('aria-activedescendant', active.element.id);
    else this.grid.removeAttribute('aria-activedescendant');
  }
}

/** The elements of a row. */
class Row {
  constructor(/** @type {Waterfall} */ waterfall) {
    this.waterfall = waterfall;
    this.spanIndex = -1;
    this.element = element('div', 'row');
    this.element.setAttribute('role', 'row');
    this.label = element('span', 'label');
    this.toggle = element('span', 'toggle');
    this.toggle.setAttribute('aria-hidden', 'true');
    this.mark = element('span', 'mark');
    this.name = element('span', 'name');
    this.note = element('span', 'note');
    this.label.append(this.toggle, this.mark, this.name, this.note);
    this.service = element('span', 'service');
    this.track = element('span', 'track');
    this.bar = element('span', 'bar');
    this.track.append(this.bar);
    this.duration = element('span', 'duration');
    for (const cell of [this.label, this.service, this.track, this.duration]) cell.setAttribute('role', 'gridcell');
    this.element.append(this.label, this.service, this.track, this.duration);
    this.toggle.addEventListener('click', (event) => {
      event.stopPropagation();
      waterfall.page.toggle(this.spanIndex);
    });
    this.element.addEventListener('click', () => waterfall.page.choose(this.spanIndex, true));
  }

  /** Shows the span of the row with this index. */
  fill(/** @type {number} */ rowIndex) {
    const { model, rows, chosen } = this.waterfall;
    if (!model) return;
    const { spanIndex, isAncestor, isParent } = rows[rowIndex];
    const span = model.trace.spans[spanIndex];
    this.spanIndex = spanIndex;
    const classes = ['row', model.colour(span.service)];
    for (const [name, is] of Object.entries({
      group: span.role === 'navigation', error: span.error, cached: span.cached, critical: span.critical, context: isAncestor, chosen: spanIndex === chosen,
    })) {
      if (is) classes.push(name);
    }
    this.element.className = classes.join(' ');
    this.element.style.transform = `translateY(${rowIndex * ROW_HEIGHT}px)`;
    const isCollapsed = model.collapsed.has(spanIndex);
    this.element.id = `row-${rowIndex}`;
    this.element.setAttribute('aria-rowindex', String(rowIndex + 1));
    this.element.setAttribute('aria-level', String(span.depth + 1));
    this.element.setAttribute('aria-selected', String(spanIndex === chosen));
    if (isParent) this.element.setAttribute('aria-expanded', String(!isCollapsed));
    else this.element.removeAttribute('aria-expanded');

    this.label.style.paddingLeft = `${Math.min(span.depth, MAX_INDENTED) * INDENT}px`;
    this.toggle.textContent = isParent ? (isCollapsed ? '▸' : '▾') : '';
    this.mark.textContent = span.error ? '✗ ' : '';
    this.name.textContent = span.label;
    this.label.title = span.label;
    const notes = [span.cached ? 'cache' : '', span.fault ?? '', span.remark ?? '', isCollapsed ? `${model.after[spanIndex] - spanIndex - 1} below` : ''];
    const note = notes.filter((text) => text !== '').join(', ');
    this.note.textContent = note === '' ? '' : ` (${note})`;
    this.service.textContent = span.service;
    this.duration.textContent = duration(span.durationUs);
    this.fillTrack(span);
  }

  fillTrack(/** @type {Span} */ span) {
    const { waterfall } = this;
    const from = Math.max(0, waterfall.percentAt(span.startUs));
    const to = Math.min(100, waterfall.percentAt(span.startUs + span.durationUs));
    const isOutside = from > 100 || to < 0;
    this.bar.hidden = isOutside;
    this.track.style.setProperty('--from', `${from}%`);
    this.track.style.setProperty('--length', isOutside ? '0%' : `${to - from}%`);
    this.track.classList.toggle('outside', isOutside);
    while (this.track.childElementCount > 1) this.track.lastElementChild?.remove();
    if (span.role !== 'navigation') return;
    for (const event of span.events) {
      const at = waterfall.percentAt(span.startUs + event.afterUs);
      if (!Object.hasOwn(MOMENTS, event.name) || at < 0 || at > 100) continue;
      const moment = element('span', `moment ${event.name}`);
      moment.title = `${MOMENTS[event.name]}: ${duration(Math.max(0, event.afterUs))} after the navigation began`;
      moment.style.left = `${at}%`;
      this.track.append(moment);
    }
  }
}
