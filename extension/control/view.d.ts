/** What the popup shows. Times are milliseconds since the epoch. */
export interface View {
  type: 'view';
  /** The extension's version. */
  version: string;
  /** null until headers are in place */
  mode: 'lightweight' | 'detailed' | null;
  /** null while no host has said it */
  wantedMode: 'auto' | 'lightweight' | 'detailed' | null;
  offTheRecord: boolean;
  paused: boolean;
  host: { state: 'starting' | 'connected' | 'missing'; version: string | null; /** Chrome's own words, when missing */ reason: string | null };
  /** null while no host has told it */
  exporter: { endpoint: string | null; exported: number; kept: number; dropped: number; problem: string | null } | null;
  /** NAVTRACE_LINK, null when there is none */
  link: string | null;
  session: { traceId: string; spanId: string; flags: string; started: number };
  /** what was chosen for this session in the popup: null = as configured. `targets` as the user wrote them */
  chosen: { ratio: number | null; targets: string[] | null };
  /** as configured, for showing: patterns as the user wrote them */
  configured: { ratio: number; parentBased: boolean; targets: string[]; exclude: string[] };
  /** the tab that the page asked about; null when there is none or it is unknown */
  tab: TabView | null;
  /** what the user should know: problems told so far, at most 20 */
  problems: string[];
}
export interface TabView {
  id: number;
  /** whether requests of its current address get headers; false also while paused */
  traced: boolean;
  traceId: string; sampled: boolean;
  /** the latest first, 10 at most */
  navigations: NavigationView[];
}
export interface NavigationView {
  spanId: string; traceId: string; url: string; started: number;
  /** null while it goes on */ ended: number | null;
  status: number | null; error: string | null;
  /** in order of start, 200 at most; `more` were left out */
  requests: RequestView[]; more: number;
}
export interface RequestView { spanId: string; method: string; url: string; resource: string; started: number; ended: number | null; status: number | null; error: string | null; fromCache: boolean }

/** From a page to the worker. */
export type Command =
  | { type: 'watch'; tabId: number | null }            // which tab `tab` is about; the worker answers with a View at once and on every change, at most every 100 ms
  | { type: 'pause'; paused: boolean }
  | { type: 'new-trace' }                              // a new session trace begins
  | { type: 'choose'; ratio: number | null; targets: string[] | null }   // for this session; null = as configured
  | { type: 'reconnect' }                              // connect to the host now instead of waiting
  | { type: 'settings' }                               // options page: asks for the settings that last
  | { type: 'store'; values: Record<string, string | string[] | boolean | null> };  // by key; null removes a key from config.toml
/** Answers besides View. */
export interface Refused { type: 'refused'; command: Command['type']; message: string }   // one sentence for the user
export interface SettingsView { type: 'settings'; file: string | null; exists: boolean; settings: SettingView[] }
export interface SettingView {
  /** as in config.toml: `mode`, or `otel.propagators` */
  key: string; name: string; meaning: string; default: string;
  kind: 'text' | 'list' | 'switch' | 'choice';
  /** for `choice` */ choices: string[];
  /** what holds now, as text; secrets are never told: then null and `secret` true */
  value: string | null; secret: boolean;
  /** 'default' | 'file' | 'environment' | 'flag' */ source: string;
  /** what config.toml says, null when nothing */
  stored: string | string[] | boolean | null;
}
export interface Stored { type: 'stored' }     // after a store; a fresh `settings` follows
