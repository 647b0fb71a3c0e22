// The messages between the worker and the extension's own pages. Times are milliseconds since the epoch.

/** The state that the worker sends to its pages. */
export interface View {
  type: 'view';
  /** The extension's version. */
  version: string;
  /** null until headers are in place. */
  mode: 'lightweight' | 'detailed' | null;
  /** null until a host has sent it. */
  wantedMode: 'auto' | 'lightweight' | 'detailed' | null;
  offTheRecord: boolean;
  paused: boolean;
  /** `reason` is Chromium's message if the host is missing. */
  host: { state: 'starting' | 'connected' | 'missing'; version: string | null; reason: string | null };
  /** Counts of spans; null until a host has sent them. */
  exporter: { endpoint: string | null; exported: number; kept: number; dropped: number; problem: string | null } | null;
  /** The setting NAVTRACE_LINK. */
  link: string | null;
  session: { traceId: string; spanId: string; flags: string; started: number };
  /** What the user chose for this session; null: as configured. */
  chosen: { ratio: number | null; targets: string[] | null };
  /** What is configured. `targets` and `exclude` are match patterns as the user wrote them. */
  configured: { ratio: number; parentBased: boolean; targets: string[]; exclude: string[] };
  /** The tab that the page watches; null if there is none or it is closed. */
  tab: TabView | null;
  /** Sentences for the user, oldest first, at most 20. */
  problems: string[];
}

export interface TabView {
  id: number;
  /** Whether requests to the tab's current address get headers; false while paused. */
  traced: boolean;
  traceId: string;
  sampled: boolean;
  /** Latest first, at most 10. */
  navigations: NavigationView[];
}

export interface NavigationView {
  spanId: string;
  traceId: string;
  url: string;
  started: number;
  /** null while the document is loading. */
  ended: number | null;
  status: number | null;
  error: string | null;
  /** In order of start, at most 200; `more` counts those left out. */
  requests: RequestView[];
  more: number;
}

export interface RequestView {
  spanId: string;
  method: string;
  url: string;
  resource: string;
  started: number;
  ended: number | null;
  status: number | null;
  error: string | null;
  fromCache: boolean;
}

/** A message from a page to the worker. */
export type Command =
  /** Asks for a view at once and after every change, with `tab` about this tab. */
  | { type: 'watch'; tabId: number | null }
  | { type: 'pause'; paused: boolean }
  /** Starts a new trace for the session. */
  | { type: 'new-trace' }
  /** Chooses for this session; null: as configured. */
  | { type: 'choose'; ratio: number | null; targets: string[] | null }
  /** Connects to the host now, without waiting for the next attempt. */
  | { type: 'reconnect' }
  /** Asks for a `SettingsView`. */
  | { type: 'settings' }
  /** Writes values to config.toml by their keys; null removes a key. Answered by `Stored` and then a `SettingsView`. */
  | { type: 'store'; values: Record<string, string | string[] | boolean | null> };

/** A command could not be executed. */
export interface Refused {
  type: 'refused';
  command: Command['type'];
  /** A sentence for the user. */
  message: string;
}

export interface Stored {
  type: 'stored';
}

export interface SettingsView {
  type: 'settings';
  /** The path of config.toml; null without a home directory. */
  file: string | null;
  exists: boolean;
  settings: SettingView[];
}

export interface SettingView {
  /** The key in config.toml, such as `mode` or `otel.propagators`. */
  key: string;
  /** The environment variable. */
  name: string;
  meaning: string;
  default: string;
  kind: 'text' | 'list' | 'switch' | 'choice';
  choices: string[];
  /** The value in use; null if there is none or it is secret. */
  value: string | null;
  secret: boolean;
  /** Where the value in use comes from: 'default', 'file', 'environment' or 'flag'. */
  source: string;
  /** The value in config.toml; null if there is none or it is secret. */
  stored: string | string[] | boolean | null;
}
