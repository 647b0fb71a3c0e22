// Generated from src/channel/message/ and src/observe/observation.rs;
// `NAVTRACE_BLESS=1 cargo test protocol_types` regenerates it.
// Every message also carries `v`, the version of the protocol (PROTOCOL.md).

export type SessionContext = { 
/**
 * The trace id: 32 lower-case hex digits.
 */
traceId: string, 
/**
 * The span's id: 16 lower-case hex digits.
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
 * How many of the traces that begin here are sampled: 0 to 1.
 */
ratio: number, 
/**
 * Whether a trace that is continued stays as its parent's flags say.
 */
parentBased: boolean, };

export type SamplePer = "trace" | "navigation";

export type Scope = "session" | "tab" | "navigation";

export type Existing = "override" | "keep";

export type Propagation = { 
/**
 * The formats of headers, by the names of `OTEL_PROPAGATORS`.
 */
propagators: Array<Name>, 
/**
 * Which traces are sampled, for those that the extension begins or continues itself.
 */
sampler: Sampler, 
/**
 * What a decision is for.
 */
samplePer: SamplePer, 
/**
 * What shares a trace id.
 */
scope: Scope, 
/**
 * Whether flags are those of W3C Trace Context level 2.
 */
randomFlag: boolean, 
/**
 * What becomes of contexts that requests have already.
 */
existing: Existing, 
/**
 * The `tracestate` of the session's trace; empty if it has none.
 */
tracestate: string, 
/**
 * The `baggage` of the session; empty if it has none.
 */
baggage: string, 
/**
 * Who gets headers: regular expressions for addresses, as RE2 and JavaScript have them; everybody when empty.
 */
targets: Array<string>, 
/**
 * Who gets none all the same.
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
 * The browser's own description.
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
 * When the navigation began, which is before its request: milliseconds since the epoch.
 */
started: number, };

export type IssuedFor = "navigation" | "tab" | "client";

export type Linked = { 
/**
 * The trace.
 */
traceId: string, 
/**
 * The span.
 */
spanId: string, };

export type Response = { 
/**
 * The HTTP status.
 */
status: number, 
/**
 * Whether the browser's cache answered.
 */
fromCache: boolean, 
/**
 * The address of the server, without a port.
 */
address?: string, 
/**
 * What the status line begins with, such as `HTTP/1.1`.
 */
protocol?: string, 
/**
 * The length of the body in bytes as it was transferred, if the response says it.
 */
size?: number, };

export type Observation = { "what": "context-issued", 
/**
 * When.
 */
time: number, 
/**
 * The span id.
 */
spanId: string, 
/**
 * What it is for.
 */
issuedFor: IssuedFor, 
/**
 * The trace.
 */
traceId: string, 
/**
 * The W3C trace-flags.
 */
flags: string, 
/**
 * The span above it; absent for a trace's root.
 */
parent?: string, 
/**
 * The trace's `tracestate`.
 */
tracestate?: string, 
/**
 * Spans of other traces that it belongs with.
 */
links?: Array<Linked>, } | { "what": "request-started", 
/**
 * When.
 */
time: number, 
/**
 * The browser's id of the request, which its hops share.
 */
request: string, 
/**
 * The span id that it carries; in lightweight mode, one that was made for its span alone.
 */
spanId: string, 
/**
 * The span id of its navigation; absent for the session's root.
 */
parent?: string, 
/**
 * The trace id that it carries, where that may be another than the session's: a worker that was just restarted does not know it.
 */
traceId?: string, 
/**
 * The span of the page's own instrumentation that made it, in the same trace: the one above its span.
 */
caller?: string, 
/**
 * The context that it had of another trace: overridden, or kept.
 */
link?: Linked, 
/**
 * The HTTP method.
 */
method: string, 
/**
 * The address.
 */
url: string, 
/**
 * What kind of resource it asks for, in the browser's words: `main_frame`, `script`, `xmlhttprequest` and so on.
 */
resource: string, 
/**
 * The navigation that begins with it, if it is a navigation's own.
 */
navigation?: NavigationStart, 
/**
 * The length of its body in bytes, if it has one and the length is known.
 */
size?: number, } | { "what": "response-started", 
/**
 * When.
 */
time: number, 
/**
 * The browser's id of the request.
 */
request: string, } | { "what": "request-redirected", 
/**
 * When.
 */
time: number, 
/**
 * The browser's id of the request.
 */
request: string, 
/**
 * The answer.
 */
response: Response, } | { "what": "request-completed", 
/**
 * When.
 */
time: number, 
/**
 * The browser's id of the request.
 */
request: string, 
/**
 * The answer.
 */
response: Response, } | { "what": "request-failed", 
/**
 * When.
 */
time: number, 
/**
 * The browser's id of the request.
 */
request: string, 
/**
 * What Chromium calls the error, such as `net::ERR_CONNECTION_REFUSED`.
 */
error: string, 
/**
 * A span id for a request that was never started: it failed before it could leave.
 */
spanId: string, 
/**
 * The HTTP method.
 */
method: string, 
/**
 * The address.
 */
url: string, 
/**
 * What kind of resource it asked for.
 */
resource: string, } | { "what": "navigation-committed", 
/**
 * When.
 */
time: number, 
/**
 * The span id of the navigation.
 */
spanId: string, 
/**
 * Chromium's id of the tab.
 */
tabId: number, 
/**
 * The document's address.
 */
url: string, 
/**
 * When the navigation began; for one that had no request of its own.
 */
started: number, 
/**
 * What brought it about, in the browser's words: `link`, `typed`, `reload` and so on.
 */
transition: string, } | { "what": "navigation-failed", 
/**
 * When.
 */
time: number, 
/**
 * The span id of the navigation.
 */
spanId: string, } | { "what": "document-parsed", 
/**
 * When.
 */
time: number, 
/**
 * The span id of the navigation.
 */
spanId: string, } | { "what": "document-loaded", 
/**
 * When.
 */
time: number, 
/**
 * The span id of the navigation.
 */
spanId: string, } | { "what": "page-measured", 
/**
 * When.
 */
time: number, 
/**
 * The span id of the navigation.
 */
spanId: string, 
/**
 * Web vitals by their short names: `cls`, and in milliseconds `fcp`, `inp` and `lcp`.
 */
vitals: { [key in string]: number }, 
/**
 * The numbers of its `PerformanceNavigationTiming`, by its own names.
 */
timing: { [key in string]: number }, } | { "what": "tab-closed", 
/**
 * When.
 */
time: number, 
/**
 * Chromium's id of the tab.
 */
tabId: number, };

export type Observed = { 
/**
 * The worker that observed: random for every start of one, so that its batches are told apart from those of the one before.
 */
worker: string, 
/**
 * Counts the worker's batches from 1.
 */
number: number, 
/**
 * How many observations this worker has had to drop so far, since no host took them.
 */
dropped: number, 
/**
 * The session that it was in, if that is not the one in force: what was under way when a new trace began ends in the one before.
 */
session?: SessionContext, 
/**
 * What was observed.
 */
observations: Array<Observation>, };

export type Replenish = { 
/**
 * Number of contexts: up to [`MAX_REPLENISH`].
 */
count: number, 
/**
 * Number of traces: up to [`MAX_REPLENISH`].
 */
traces: number, };

export type Problem = { 
/**
 * One sentence.
 */
message: string, };

export type Choose = { 
/**
 * The share of traces to sample, from 0 to 1; null for the configured share.
 */
ratio: number | null, 
/**
 * Match patterns of the URLs that get headers; null for the configured ones, empty for all URLs.
 */
targets: Array<string> | null, };

export type SettingValue = boolean | string | Array<string>;

export type SettingKind = "text" | "list" | "switch" | "choice";

export type SettingSource = "default" | "file" | "environment" | "flag";

export type SettingInfo = { 
/**
 * The key in config.toml: `mode`, or `otel.propagators`.
 */
key: string, 
/**
 * The environment variable.
 */
name: string, 
/**
 * A description for the user.
 */
meaning: string, 
/**
 * The default, in words.
 */
default: string, 
/**
 * The kind of value that it takes.
 */
kind: SettingKind, 
/**
 * The values of a choice.
 */
choices: Array<string>, 
/**
 * The value in force; null when there is none or when it is secret.
 */
value: string | null, 
/**
 * Whether the value, or a part of it, must not be shown.
 */
secret: boolean, 
/**
 * Where the value in force comes from.
 */
source: SettingSource, 
/**
 * The value in config.toml; null when there is none or when it is secret.
 */
stored: SettingValue | null, };

export type Store = { 
/**
 * The values by their keys; null removes a key.
 */
values: { [key in string]: SettingValue | null }, };

export type ToHost = { "type": "hello" } & Hello | { "type": "armed" } & Armed | { "type": "observed" } & Observed | { "type": "replenish" } & Replenish | { "type": "problem" } & Problem | { "type": "choose" } & Choose | { "type": "settings" } | { "type": "store" } & Store;

export type Configured = { 
/**
 * The template for links to traces.
 */
link: string | null, 
/**
 * The address that spans are sent to; null when the export is off.
 */
endpoint: string | null, 
/**
 * The share of traces that are sampled, from 0 to 1.
 */
ratio: number, 
/**
 * Whether a trace that continues another one takes over its sampling decision.
 */
parentBased: boolean, 
/**
 * Match patterns of the URLs that get headers.
 */
targets: Array<string>, 
/**
 * Match patterns of the URLs that never get headers.
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
 * The mode that the user wants.
 */
mode: WantedMode, 
/**
 * Whether to measure navigation timing and web vitals in pages.
 */
webVitals: boolean, 
/**
 * How requests carry contexts.
 */
propagation: Propagation, 
/**
 * The session's root span.
 */
session: SessionContext, 
/**
 * Contexts in stock, for the navigations to come.
 */
contexts: Array<NavigationContext>, 
/**
 * Traces in stock, for navigations that begin a trace of their own.
 */
traces: Array<SessionContext>, 
/**
 * The configured policy, whatever the user has chosen since.
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
 * The path of config.toml, which may not exist; null when the user has no home.
 */
file: string | null, 
/**
 * Whether config.toml exists.
 */
exists: boolean, 
/**
 * Every setting that config.toml can have.
 */
settings: Array<SettingInfo>, } | { "type": "error", 
/**
 * The rule that the message broke.
 */
code: ErrorCode, 
/**
 * A sentence that says what is wrong.
 */
message: string, };
