// Generated from src/channel/message.rs and src/observe/observation.rs;
// `NAVTRACE_BLESS=1 cargo test protocol_types` writes it anew.
// Every message also carries `v`, the version of the protocol (PROTOCOL.md).

export type SessionContext = { 
/**
 * The trace id: 32 lower-case hex digits.
 */
traceId: string, 
/**
 * The span id: 16 lower-case hex digits.
 */
spanId: string, 
/**
 * The W3C trace-flags: 2 lower-case hex digits.
 */
flags: string, };

export type NavigationContext = { 
/**
 * The navigation's span id: 16 lower-case hex digits, used for one navigation only.
 */
spanId: string, 
/**
 * The W3C trace-flags: 2 lower-case hex digits.
 */
flags: string, };

export type Name = "tracecontext" | "baggage" | "b3" | "b3multi" | "jaeger";

export type Sampler = { 
/**
 * The share of new traces to sample, from 0 to 1.
 */
ratio: number, 
/**
 * Whether a continued trace keeps its parent's decision.
 */
parentBased: boolean, };

export type SamplePer = "trace" | "navigation";

export type Scope = "session" | "tab" | "navigation";

export type Existing = "override" | "keep";

export type Propagation = { 
/**
 * The header formats, by the names of `OTEL_PROPAGATORS`.
 */
propagators: Array<Name>, 
/**
 * Decides for the traces that the extension begins or continues by itself.
 */
sampler: Sampler, samplePer: SamplePer, scope: Scope, 
/**
 * Whether to set the flag of W3C Trace Context level 2 for random trace ids.
 */
randomFlag: boolean, existing: Existing, 
/**
 * The `tracestate` of the session's trace; empty if there is none.
 */
tracestate: string, 
/**
 * The `baggage` of the session; empty if there is none.
 */
baggage: string, 
/**
 * Addresses that get headers, as regular expressions valid in RE2 and JavaScript; all if empty.
 */
targets: Array<string>, 
/**
 * Addresses that get no headers although they are targets, as regular expressions.
 */
exclude: Array<string>, };

export type Mode = "lightweight" | "detailed";

export type WantedMode = "auto" | "lightweight" | "detailed";

export type ErrorCode = "not-utf8" | "not-json" | "unknown-version" | "unknown-type" | "invalid" | "refused";

export type Browser = { 
/**
 * `navigator.userAgent`.
 */
userAgent: string, 
/**
 * `navigator.userAgentData.brands`, each as `name version`.
 */
brands: Array<string>, 
/**
 * `navigator.userAgentData.platform`.
 */
platform: string, 
/**
 * `navigator.userAgentData.mobile`.
 */
mobile: boolean, 
/**
 * `navigator.language`.
 */
language: string, };

export type Hello = { 
/**
 * The extension's version.
 */
extension: string, 
/**
 * Whether the extension may act in off-the-record contexts.
 */
offTheRecord: boolean, 
/**
 * The context that requests carry already, after a restart of the worker or the host.
 */
session: SessionContext | null, 
/**
 * What the browser says of itself.
 */
browser?: Browser, };

export type Armed = { 
/**
 * How requests get their headers.
 */
mode: Mode, };

export type NavigationStart = { 
/**
 * Chromium's id of the tab.
 */
tabId: number, 
/**
 * The start of the navigation, before its request: milliseconds since the epoch.
 */
started: number, };

export type IssuedFor = "navigation" | "tab" | "client";

export type Linked = { traceId: string, spanId: string, };

export type Response = { 
/**
 * The HTTP status.
 */
status: number, 
/**
 * Whether it came from the browser's cache.
 */
fromCache: boolean, 
/**
 * The server's IP address.
 */
address?: string, 
/**
 * The start of the status line, such as `HTTP/1.1`.
 */
protocol?: string, 
/**
 * The length of the body in bytes as transferred, if the response says it.
 */
size?: number, };

export type Observation = { "what": "context-issued", time: number, spanId: string, issuedFor: IssuedFor, traceId: string, flags: string, 
/**
 * The parent span; absent for a trace's root.
 */
parent?: string, 
/**
 * The trace's `tracestate`.
 */
tracestate?: string, 
/**
 * Related spans of other traces.
 */
links?: Array<Linked>, } | { "what": "request-started", time: number, request: string, 
/**
 * The span id that the request carries; in lightweight mode, an id that only its span has.
 */
spanId: string, 
/**
 * The span id of its navigation; absent if the parent is the session's root.
 */
parent?: string, 
/**
 * The trace id that it carries, where it may differ from the session's: a worker that has just restarted does not know the session.
 */
traceId?: string, 
/**
 * The parent span if the page's own instrumentation made one in the same trace.
 */
caller?: string, 
/**
 * The context of another trace that the page had set, which was overridden or kept.
 */
link?: Linked, method: string, url: string, 
/**
 * Chromium's type of the resource: `main_frame`, `script`, `xmlhttprequest` and so on.
 */
resource: string, 
/**
 * The navigation that begins with this request.
 */
navigation?: NavigationStart, 
/**
 * The length of the request's body in bytes, if known.
 */
size?: number, } | { "what": "response-started", time: number, request: string, } | { "what": "request-redirected", time: number, request: string, response: Response, } | { "what": "request-completed", time: number, request: string, response: Response, } | { "what": "request-failed", time: number, request: string, 
/**
 * Chromium's name of the error, such as `net::ERR_CONNECTION_REFUSED`.
 */
error: string, 
/**
 * The span id to use if the request failed before it was sent, so that this event is all there is of it.
 */
spanId: string, method: string, url: string, resource: string, } | { "what": "navigation-committed", time: number, spanId: string, tabId: number, url: string, 
/**
 * The start of the navigation, which may have had no request.
 */
started: number, 
/**
 * Chromium's reason of the navigation: `link`, `typed`, `reload` and so on.
 */
transition: string, } | { "what": "navigation-failed", time: number, spanId: string, } | { "what": "document-parsed", time: number, spanId: string, } | { "what": "document-loaded", time: number, spanId: string, } | { "what": "page-measured", time: number, spanId: string, 
/**
 * Web vitals by their short names: `cls`, and in milliseconds `fcp`, `inp` and `lcp`.
 */
vitals: { [key in string]: number }, 
/**
 * The numbers of its `PerformanceNavigationTiming`, by its own names.
 */
timing: { [key in string]: number }, } | { "what": "tab-closed", time: number, tabId: number, };

export type Observed = { 
/**
 * A random id of the service worker's run, which tells its batches from those of an earlier run.
 */
worker: string, 
/**
 * The number of the batch within the worker's run, from 1.
 */
number: number, 
/**
 * The number of observations that this worker has dropped so far because no host took them.
 */
dropped: number, 
/**
 * The session of these observations if it is not the current one: requests that were open when a new trace began end in the old one.
 */
session?: SessionContext, 
/**
 * The observations.
 */
observations: Array<Observation>, };

export type Replenish = { 
/**
 * How many contexts are wanted: up to [`MAX_REPLENISH`].
 */
count: number, 
/**
 * How many traces are wanted: up to [`MAX_REPLENISH`].
 */
traces: number, };

export type Problem = { 
/**
 * One sentence.
 */
message: string, };

export type Choose = { 
/**
 * How often a trace is sampled, from 0 to 1; as configured if null.
 */
ratio: number | null, 
/**
 * Who gets headers, as match patterns; as configured if null, everybody if empty.
 */
targets: Array<string> | null, };

export type Stored = boolean | string | Array<string>;

export type Kind = "text" | "list" | "switch" | "choice";

export type From = "default" | "file" | "environment" | "flag";

export type Lasting = { 
/**
 * Its key in config.toml: `mode`, or `otel.propagators`.
 */
key: string, 
/**
 * Its environment variable.
 */
name: string, 
/**
 * What it means.
 */
meaning: string, 
/**
 * What holds when nothing is given.
 */
default: string, 
/**
 * How it is written.
 */
kind: Kind, 
/**
 * What there is to choose from.
 */
choices: Array<string>, 
/**
 * What holds now; null when it is a secret or there is none.
 */
value: string | null, 
/**
 * Whether something of it may not be told.
 */
secret: boolean, 
/**
 * Where that comes from.
 */
source: From, 
/**
 * What config.toml says; null when nothing, or a secret.
 */
stored: Stored | null, };

export type Store = { 
/**
 * The values by their keys; null takes a key away.
 */
values: { [key in string]: Stored | null }, };

export type ToHost = { "type": "hello" } & Hello | { "type": "armed" } & Armed | { "type": "observed" } & Observed | { "type": "replenish" } & Replenish | { "type": "problem" } & Problem | { "type": "choose" } & Choose | { "type": "settings" } | { "type": "store" } & Store;

export type Configured = { 
/**
 * The template for links to traces.
 */
link: string | null, 
/**
 * Where spans go; null when nowhere.
 */
endpoint: string | null, 
/**
 * How often a trace is sampled.
 */
ratio: number, 
/**
 * Whether a trace that continues another one follows that one's decision.
 */
parentBased: boolean, 
/**
 * Who gets headers, as match patterns.
 */
targets: Array<string>, 
/**
 * Who gets none all the same.
 */
exclude: Array<string>, };

export type ExporterState = { 
/**
 * Spans that the collector took.
 */
exported: number, 
/**
 * Spans that wait to be sent, here or in the spool.
 */
kept: number, 
/**
 * Spans that nobody took and nothing keeps.
 */
dropped: number, 
/**
 * Why spans can't be sent now, in one sentence.
 */
problem: string | null, };

export type ToExtension = { "type": "session", 
/**
 * The host's version.
 */
host: string, 
/**
 * Which mode the user wants.
 */
mode: WantedMode, 
/**
 * Whether pages are to be measured.
 */
webVitals: boolean, 
/**
 * How contexts are carried.
 */
propagation: Propagation, 
/**
 * The session's root span.
 */
session: SessionContext, 
/**
 * A stock of contexts for the navigations to come.
 */
contexts: Array<NavigationContext>, 
/**
 * A stock of traces for what has one of its own.
 */
traces: Array<SessionContext>, 
/**
 * What is configured, whatever was chosen since.
 */
configured: Configured, } | { "type": "contexts", 
/**
 * More contexts for the navigations to come.
 */
contexts: Array<NavigationContext>, 
/**
 * More traces.
 */
traces: Array<SessionContext>, } | { "type": "received", 
/**
 * The worker that observed.
 */
worker: string, 
/**
 * The batch's number.
 */
number: number, } | { "type": "exporter" } & ExporterState | { "type": "settings", 
/**
 * Where config.toml is, or would be; null without a home.
 */
file: string | null, 
/**
 * Whether it is there.
 */
exists: boolean, 
/**
 * Every setting that can stand there.
 */
settings: Array<Lasting>, } | { "type": "error", 
/**
 * Which rule it broke.
 */
code: ErrorCode, 
/**
 * What is wrong with it.
 */
message: string, };
