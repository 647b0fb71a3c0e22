// Generated from src/channel/message.rs; `NAVTRACE_BLESS=1 cargo test protocol_types` writes it anew.
// Every message also carries `v`, the version of the protocol (PROTOCOL.md).

export type SessionContext = { 
/**
 * The trace id that the whole session shares: 32 lower-case hex digits.
 */
traceId: string, 
/**
 * The root span's id: 16 lower-case hex digits.
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

export type Mode = "lightweight" | "detailed";

export type WantedMode = "auto" | "lightweight" | "detailed";

export type Outcome = "committed" | "failed";

export type ErrorCode = "not-utf8" | "not-json" | "unknown-version" | "unknown-type" | "invalid";

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
session: SessionContext | null, };

export type Armed = { 
/**
 * How requests get their headers.
 */
mode: Mode, };

export type Navigation = { 
/**
 * Chromium's id of the tab.
 */
tabId: number, 
/**
 * The span id that the navigation used.
 */
spanId: string, 
/**
 * What came of it.
 */
outcome: Outcome, };

export type Replenish = { 
/**
 * How many contexts are wanted: 1 to [`MAX_REPLENISH`].
 */
count: number, };

export type ToHost = { "type": "hello" } & Hello | { "type": "armed" } & Armed | { "type": "navigation" } & Navigation | { "type": "replenish" } & Replenish;

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
 * The session's root span.
 */
session: SessionContext, 
/**
 * A stock of contexts for the navigations to come.
 */
contexts: Array<NavigationContext>, } | { "type": "contexts", 
/**
 * More contexts for the navigations to come.
 */
contexts: Array<NavigationContext>, } | { "type": "error", 
/**
 * Which rule it broke.
 */
code: ErrorCode, 
/**
 * What is wrong with it.
 */
message: string, };
