// Says how many traces of a trace file are whole: one root, every parent there, and on the root's resource the attributes that are asked for.
//
//   node whole.mjs FILE MINIMUM [NAME=VALUE...]      fails if fewer than MINIMUM are whole
//   node whole.mjs FILE all=COUNT [NAME=VALUE...]    fails unless there are COUNT, all of them whole

import { readFileSync } from 'node:fs';

const [file, wanted, ...attributes] = process.argv.slice(2);

const traces = new Map();
for (const line of readFileSync(file, 'utf8').split('\n').filter(Boolean)) {
  let batch;
  try {
    batch = JSON.parse(line);
  } catch {
    continue; // being written
  }
  for (const { resource, scopeSpans } of batch.resourceSpans) {
    const named = resource.attributes.map(({ key, value }) => `${key}=${value.stringValue}`);
    for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
      const spans = traces.get(span.traceId) ?? [];
      traces.set(span.traceId, [...spans, { ...span, named }]);
    }
  }
}

const isWhole = (spans) => {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const roots = spans.filter(({ parentSpanId }) => !parentSpanId);
  const hasParents = spans.every(({ parentSpanId }) => !parentSpanId || ids.has(parentSpanId));
  return roots.length === 1 && hasParents && attributes.every((attribute) => roots[0].named.includes(attribute));
};
const whole = [...traces.values()].filter(isWhole).length;
console.log(`${whole} of ${traces.size} traces in ${file} are whole`);
const all = wanted.startsWith('all=') ? Number(wanted.slice(4)) : undefined;
process.exit((all === undefined ? whole >= Number(wanted) : whole === all && traces.size === all) ? 0 : 1);
