// The messages between the worker and the extension's own pages. Times are milliseconds since the epoch.

import type { Choose, Configured, ExporterState, FailureKind, Mode, SessionContext, SettingInfo, Store, WantedMode } from '../protocol.d.ts';

/** The state that the worker sends to its pages. */
export interface View {
  type: 'view';
  /** The extension's version. */
  version: string;
  /** null until headers are in place. */
  mode: Mode | null;
  /** null until a host has sent it. */
  wantedMode: WantedMode | null;
  offTheRecord: boolean;
  paused: boolean;
  /** `reason` is Chromium's message if the host is missing. */
  host: { state: 'starting' | 'connected' | 'missing'; version: string | null; reason: string | null };
  /** Counts of spans; null until a host has sent them. */
  exporter: (ExporterState & { endpoint: string | null }) | null;
  /** The setting NAVTRACE_LINK. */
  link: string | null;
  session: SessionContext & { started: number };
  /** What the user chose for this session; null: as configured. */
  chosen: Choose;
  /** What is configured. `targets` and `exclude` are match patterns as the user wrote them. */
  configured: Omit<Configured, 'link' | 'endpoint'>;
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
  /** The browser's name of the error, and how its request ended by that. */
  error: string | null;
  end: FailureKind | null;
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
  end: FailureKind | null;
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
  | ({ type: 'choose' } & Choose)
  /** Connects to the host now, without waiting for the next attempt. */
  | { type: 'reconnect' }
  /** Asks for a `SettingsView`. */
  | { type: 'settings' }
  /** Writes values to config.toml by their keys; null removes a key. Answered by `Stored` and then a `SettingsView`. */
  | ({ type: 'store' } & Store);

/** A message from the worker to a page. */
export type Reply = View | Executed | Refused | SettingsView | Stored;

/** A command was executed. */
export interface Executed {
  type: 'executed';
  command: Command['type'];
}

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
  settings: SettingInfo[];
}
