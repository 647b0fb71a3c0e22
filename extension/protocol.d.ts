// Generated from src/channel/message/ and src/observe/observation.rs;
// `NAVTRACE_BLESS=1 cargo test protocol_types` regenerates it.
// Every message also carries `v`, the version of the protocol (PROTOCOL.md).

export type SessionContext = { 
/** The trace id: 32 lower-case hex digits. */
traceId: string, 
/** The span id: 16 lower-case hex digits. */
spanId: string, 
/** The W3C trace-flags: 2 lower-case hex digits. */
flags: string, };

export type NavigationContext = { 
/** The navigation's span id: 16 lower-case hex digits, used for one navigation only. */
spanId: string, 
/** The W3C trace-flags: 2 lower-case hex digits. */
flags: string, };

export type Name = "tracecontext" | "baggage" | "b3" | "b3multi" | "jaeger";

export type Sampler = { 
/** The share of new traces to sample, from 0 to 1. */
ratio: number, 
/** Whether a continued trace keeps its parent's decision. */
parentBased: boolean, };

export type SamplePer = "trace" | "navigation";

export type Scope = "session" | "context" | "tab" | "navigation";

export type Existing = "override" | "keep";

export type Incognito = "shared" | "headers" | "export";

export type ResourceType = "main_frame" | "sub_frame" | "stylesheet" | "script" | "image" | "font" | "object" | "xmlhttprequest" | "ping" | "csp_report" | "media" | "websocket" | "webbundle" | "other";

export type OtherResources = "session" | "none";

export type Propagation = { 
/** The header formats, by the names of `OTEL_PROPAGATORS`. */
propagators: Array<Name>, 
/** Decides for the traces that the extension begins or continues by itself. */
sampler: Sampler, samplePer: SamplePer, scope: Scope, 
/** Whether the session's trace is another process's, so that browser contexts have spans in it instead of traces of their own. An earlier host
 * does not say. */
joined?: boolean, 
/** Whether the client opens each page of a browser context in a window of its own, as k6 does. An earlier host does not say. */
windowPerPage?: boolean, 
/** Whether to set the flag of W3C Trace Context level 2 for random trace ids. */
randomFlag: boolean, existing: Existing, 
/** The `tracestate` of the session's trace; empty if there is none. */
tracestate: string, 
/** The `baggage` of the session; empty if there is none. */
baggage: string, 
/** Addresses that get headers, as regular expressions valid in RE2 and JavaScript; all if empty. */
targets: Array<string>, 
/** Addresses that get no headers although they are targets, as regular expressions. */
exclude: Array<string>, 
/** Addresses of the collector without a query, to which pages may export too: they get no headers and no spans. An earlier host does
 * not say. */
collector?: Array<string>, 
/** Domains and IPv4 addresses that cover all targets, for filters of the browser; all hosts if empty. */
domains: Array<string>, 
/** Kinds of requests that have a span of their own; all if empty. */
resources: Array<ResourceType>, 
/** What requests of other kinds carry. */
otherResources: OtherResources, 
/** How Incognito windows are treated. An earlier host does not say. */
incognito?: Incognito, };

export type Mode = "lightweight" | "detailed";

export type WantedMode = "auto" | "lightweight" | "detailed";

export type ErrorCode = "not-utf8" | "not-json" | "unknown-version" | "unknown-type" | "invalid" | "refused";

export type Browser = { 
/** `navigator.userAgent`. */
userAgent: string, 
/** `navigator.userAgentData.brands`, each as `name version`. */
brands: Array<string>, 
/** `navigator.userAgentData.platform`. */
platform: string, 
/** `navigator.userAgentData.mobile`. */
mobile: boolean, 
/** `navigator.language`. */
language: string, };

export type Hello = { 
/** The extension's version. */
extension: string, 
/** Whether the extension may act in off-the-record contexts. */
offTheRecord: boolean, 
/** The context that requests carry already, after a restart of the worker or the host. */
session: SessionContext | null, 
/** The browser's own description. */
browser?: Browser, };

export type Armed = { 
/** How requests get their headers. */
mode: Mode, };

export type NavigationStart = { 
/** Chromium's id of the tab. */
tabId: number, 
/** The start of the navigation, before its request: milliseconds since the epoch. */
started: number, 
/** Whether a page began it, and not the client or the user. */
byPage?: boolean, };

export type IssuedFor = "navigation" | "tab" | "context" | "session" | "client";

export type Linked = { traceId: string, spanId: string, };

export type FailureKind = "failed" | "cancelled" | "blocked";

export type NavigationEnd = "no-document" | "elsewhere";

export type Response = { 
/** The HTTP status. */
status: number, 
/** Whether it came from the browser's cache. */
fromCache: boolean, 
/** The server's IP address. */
address?: string, 
/** The start of the status line, such as `HTTP/1.1`. */
protocol?: string, };

export type Observation = { "what": "context-issued", time: number, spanId: string, issuedFor: IssuedFor, traceId: string, flags: string, 
/** The parent span; absent for a trace's root. */
parent?: string, 
/** The trace's `tracestate`. */
tracestate?: string, 
/** Related spans of other traces. */
links?: Array<Linked>, } | { "what": "request-started", time: number, request: string, 
/** The span id that the request carries; in lightweight mode, an id that only its span has. */
spanId: string, 
/** The span id of its navigation; absent if the parent is the session's root. */
parent?: string, 
/** The trace id that it carries, where it may differ from the session's: a worker that has just restarted does not know the session. */
traceId?: string, 
/** The parent span if the page's own instrumentation made one in the same trace. */
caller?: string, 
/** The context of another trace that the page had set, which was overridden or kept. */
link?: Linked, method: string, url: string, 
/** Chromium's type of the resource: `main_frame`, `script`, `xmlhttprequest` and so on. */
resource: string, 
/** The navigation that begins with this request. */
navigation?: NavigationStart, 
/** The length of the request's body in bytes, if known. */
size?: number, } | { "what": "request-challenged", time: number, request: string, 
/** The span id of this exchange if a second one follows, which has the id that both carry. */
spanId: string, response: Response, } | { "what": "request-redirected", time: number, request: string, response: Response, } | { "what": "request-completed", time: number, request: string, response: Response, } | { "what": "request-failed", time: number, request: string, 
/** Chromium's name of the error, such as `net::ERR_CONNECTION_REFUSED`. */
error: string, 
/** How it ended; absent for a failure. */
kind?: FailureKind, 
/** The span id to use if the request was never sent, so that this event is all there is of it. */
spanId: string, 
/** The span id of its navigation if the request was never sent; absent if the parent is the session's root. */
parent?: string, method: string, 
/** Empty if it is no target. */
url: string, resource: string, } | { "what": "request-left", time: number, request: string, } | { "what": "navigation-committed", time: number, spanId: string, tabId: number, url: string, 
/** The start of the navigation, which may have had no request. */
started: number, 
/** Chromium's reason of the navigation (`link`, `typed`, `reload` and so on), or why an open document has a navigation without being loaded:
 * `new-trace`, or `already-open` when a worker starts. */
transition: string, } | { "what": "navigation-failed", time: number, spanId: string, 
/** How it ended, if nothing went wrong. */
end?: NavigationEnd, } | { "what": "document-parsed", time: number, spanId: string, } | { "what": "document-loaded", time: number, spanId: string, } | { "what": "page-measured", time: number, spanId: string, 
/** Web vitals by their short names: `cls`, and in milliseconds `fcp`, `inp` and `lcp`. */
vitals: { [key in string]: number }, 
/** The numbers of its `PerformanceNavigationTiming`, by its own names. */
timing: { [key in string]: number }, } | { "what": "tab-closed", time: number, tabId: number, } | { "what": "context-closed", time: number, 
/** The span of the context; the session's root for the context that has the session's own trace. */
spanId: string, } | { "what": "root-described", time: number, 
/** The span of the session, a tab or a client. */
spanId: string, 
/** The name of a client's span that nobody else makes; absent for spans that exist. */
name?: string, 
/** Attributes of the span. */
attributes: { [key in string]: string }, } | { "what": "k6-span", time: number, spanId: string, k6SpanId: string, };

export type Observed = { 
/** A random id of the service worker's run, which tells its batches from those of an earlier run. */
worker: string, 
/** The number of the batch within the worker's run, from 1. */
number: number, 
/** The number of observations that this worker has dropped so far because no host took them. */
dropped: number, 
/** The session of these observations if it is not the current one: requests that were open when a new trace began end in the old one. */
session?: SessionContext, 
/** The observations. */
observations: Array<Observation>, };

export type Replenish = { 
/** Number of contexts: at most 1000. */
count: number, 
/** Number of traces: at most 1000. */
traces: number, };

export type Overlap = { 
/** The number of browser contexts that have opened so far, which the answer repeats. */
opened: number, };

export type Problem = { 
/** One sentence. */
message: string, };

export type Choose = { 
/** The share of traces to sample, from 0 to 1; null for the configured share. */
ratio: number | null, 
/** Match patterns of the URLs that get headers; null for the configured ones, empty for all URLs. */
targets: Array<string> | null, 
/** Names of the kinds of requests that have a span of their own; null for the configured ones. */
resources: Array<string> | null, };

export type SettingValue = boolean | string | Array<string>;

export type SettingKind = "text" | "list" | "switch" | "choice";

export type SettingSource = "default" | "file" | "environment" | "flag";

export type SettingInfo = { 
/** The key in config.toml: `mode`, or `otel.propagators`. */
key: string, 
/** The environment variable. */
name: string, 
/** A description for the user. */
meaning: string, 
/** The default, in words. */
default: string, 
/** The kind of value that it takes. */
kind: SettingKind, 
/** The values of a choice. */
choices: Array<string>, 
/** The value in force; null when there is none or when it is secret. */
value: string | null, 
/** Whether the value, or a part of it, must not be shown. */
secret: boolean, 
/** Where the value in force comes from. */
source: SettingSource, 
/** The value in config.toml; null when there is none or when it is secret. */
stored: SettingValue | null, };

export type Store = { 
/** The values by their keys; null removes a key. */
values: { [key in string]: SettingValue | null }, };

export type ToHost = { "type": "hello" } & Hello | { "type": "armed" } & Armed | { "type": "observed" } & Observed | { "type": "replenish" } & Replenish | { "type": "problem" } & Problem | { "type": "overlap" } & Overlap | { "type": "choose" } & Choose | { "type": "settings" } | { "type": "store" } & Store;

export type Configured = { 
/** The template for links to traces. */
link: string | null, 
/** The address that spans are sent to; null when the export is off. */
endpoint: string | null, 
/** The share of traces that are sampled, from 0 to 1. */
ratio: number, 
/** Whether a trace that continues another one takes over its sampling decision. */
parentBased: boolean, 
/** Match patterns of the URLs that get headers. */
targets: Array<string>, 
/** Match patterns of the URLs that never get headers. */
exclude: Array<string>, 
/** Names of the kinds of requests that have a span of their own. */
resources: Array<string>, };

export type ExporterState = { 
/** Spans that the collector accepted. */
exported: number, 
/** Spans that wait to be sent, in memory or in the spool. */
kept: number, 
/** Spans that were refused or lost. */
dropped: number, 
/** Why spans can't be sent at the moment. */
problem: string | null, };

export type TestContext = { 
/** The `tracestate` of the trace; empty if there is none. */
tracestate: string, 
/** The trace id: 32 lower-case hex digits. */
traceId: string, 
/** The span id: 16 lower-case hex digits. */
spanId: string, 
/** The W3C trace-flags: 2 lower-case hex digits. */
flags: string, };

export type ToExtension = { "type": "session", 
/** The host's version. */
host: string, 
/** The mode that the user wants. */
mode: WantedMode, 
/** Whether spans are exported, so that requests are worth observing. */
exports: boolean, 
/** Whether to measure navigation timing and web vitals in pages. */
webVitals: boolean, 
/** Whether to tell of the span ids that k6 gives pages. */
k6Spans?: boolean, 
/** Names of the parameters in addresses whose values are secret, in lower case and without punctuation; `*` stands for any beginning. */
redact: Array<string>, 
/** How requests carry contexts. */
propagation: Propagation, 
/** The session's root span. */
session: SessionContext, 
/** Contexts in stock, for the navigations to come. */
contexts: Array<NavigationContext>, 
/** Traces in stock, for navigations that begin a trace of their own. */
traces: Array<SessionContext>, 
/** The configured policy, whatever the user has chosen since. */
configured: Configured, } | { "type": "contexts", 
/** More contexts for the navigations to come. */
contexts: Array<NavigationContext>, 
/** More traces. */
traces: Array<SessionContext>, } | { "type": "received", 
/** The worker that observed. */
worker: string, 
/** The batch's number. */
number: number, } | { "type": "overlap", 
/** The number in the question. */
opened: number, 
/** Whether the browser goes on reporting the requests of all browser contexts that were open then. */
kept: boolean, 
/** Whether the host has closed a browser context of its own meanwhile: one that opened in that moment may not be reported. */
closed: boolean, 
/** The windows of each browser context, by Chrome's ids. An earlier host does not say. */
windows?: Array<Array<number>>, } | { "type": "test", 
/** The context of its span; null between two tests. */
test: TestContext | null, } | { "type": "exporter" } & ExporterState | { "type": "settings", 
/** The path of config.toml, which may not exist; null when the user has no home. */
file: string | null, 
/** Whether config.toml exists. */
exists: boolean, 
/** Every setting that config.toml can have. */
settings: Array<SettingInfo>, } | { "type": "error", 
/** The rule that the message broke. */
code: ErrorCode, 
/** A sentence that says what is wrong. */
message: string, 
/** The type of the message; missing if it has none. */
about?: string, 
/** The number of the batch, if the message is `observed` and has one. */
number?: number, };
