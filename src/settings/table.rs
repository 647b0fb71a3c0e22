//! Every setting, declared once: a row here and a field of [`Config`](super::Config). Reading, showing and documenting settings all go
//! through these rows. [`propagation`] and [`export`] have the rows of their fields.

use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::context::mode::{ModeSetting, WantedMode};
use crate::launch::find;
use crate::settings::setting::{Read, SETTING, Secret, Setting, put};
use crate::settings::{export, propagation, value};
use crate::view::link::LinkTemplate;

pub(crate) const BROWSER: &str = find::SETTING;
pub(crate) const EXTENSION: &str = "NAVTRACE_EXTENSION";
pub(crate) const RUN_ID: &str = "NAVTRACE_RUN_ID";

/// The longest id of a run, in characters.
const MAX_RUN_ID: usize = 200;

const MODES: [(&str, ModeSetting); 4] = [
    ("auto", ModeSetting::Worker(WantedMode::Auto)),
    ("lightweight", ModeSetting::Worker(WantedMode::Lightweight)),
    ("detailed", ModeSetting::Worker(WantedMode::Detailed)),
    ("static", ModeSetting::Static),
];

const LOG_LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

const MAX_ARM_TIMEOUT: Duration = Duration::from_secs(3600);

static SETTINGS: &[Setting] = &[
    Setting {
        name: BROWSER,
        is_for_launch: true,
        flag: Some("browser"),
        default: "the first that is found",
        meaning: "the Chromium to start: a path or a name. By default the one that `K6_BROWSER_EXECUTABLE_PATH`, `PUPPETEER_EXECUTABLE_PATH`, \
                  `CHROME_BIN`, `CHROME_PATH`, `CHROMIUM_BIN`, `SE_BROWSER_PATH` or `TAIKO_BROWSER_PATH` names, then the first on `PATH`, then one \
                  that Playwright or Puppeteer has downloaded; in the place of Playwright's own Chromium, that one",
        read: Read::Path(|config, path| config.browser = Some(path)),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_MODE",
        flag: Some("mode"),
        default: "`auto`",
        meaning: "`lightweight`, `detailed`, or `auto`: detailed where the browser grants it, else lightweight; `static`, for load tests: the \
                  session's context on every request, one span id, and no spans of navigations and requests",
        choices: || value::names(&MODES),
        read: Read::Text(|config, text| put(&mut config.mode, value::one_of(text, &MODES))),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_WEB_VITALS",
        flag: Some("web-vitals"),
        default: "`off`",
        meaning: "`on` measures navigation timing and web vitals in each page, which costs some milliseconds of processor time; with `off` \
                  nothing of navtrace runs in pages, but for a small script under k6 that reads the id of k6's span",
        read: Read::Switch(|config, on| config.web_vitals = on),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_LINK",
        flag: Some("link"),
        secret: Secret::WhenInvalid,
        meaning: "a template for links to traces, such as `http://localhost:16686/trace/{trace_id}`",
        read: Read::Text(|config, text| put(&mut config.link, LinkTemplate::parse(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: RUN_ID,
        is_for_launch: true,
        flag: Some("run-id"),
        default: "that of `TRACEPARENT`",
        meaning: "what the browsers of a [run](spans.md#runs) share, on however many machines: the resource attribute `navtrace.run.id`. Without \
                  `TRACEPARENT`, `run` takes a random one",
        read: Read::Text(|config, text| {
            put(&mut config.run_id, value::given(text, |text| value::name(text, MAX_RUN_ID)))
        }),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_RUN_ATTEMPT",
        is_for_launch: true,
        flag: Some("run-attempt"),
        meaning: "the number of the attempt if a run is repeated, such as `$GITHUB_RUN_ATTEMPT`: the resource attribute `navtrace.run.attempt`",
        read: Read::Text(|config, text| put(&mut config.run_attempt, value::given(text, value::number))),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_ARM_TIMEOUT",
        is_for_launch: true,
        flag: Some("arm-timeout"),
        default: "`5s`",
        meaning: "how long a browser start waits for the extension before it goes on without, with a warning",
        read: Read::Text(|config, text| put(&mut config.arm_timeout, value::duration(text, MAX_ARM_TIMEOUT))),
        ..SETTING
    },
    Setting {
        name: EXTENSION,
        is_for_launch: true,
        flag: Some("extension"),
        default: "the built-in one",
        meaning: "a folder to load as the extension",
        read: Read::Path(|config, path| config.extension = Some(path)),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_LOG",
        flag: Some("log"),
        default: "`warn`",
        meaning: "how much is logged on standard error: `off`, `error`, `warn`, `info`, `debug` or `trace`",
        choices: || value::names(&LOG_LEVELS),
        read: Read::Text(|config, text| put(&mut config.log, value::one_of(text, &LOG_LEVELS))),
        ..SETTING
    },
];

/// Returns every setting in the order of the documentation.
pub(crate) fn all() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain(propagation::SETTINGS).chain(export::settings())
}

/// Returns every setting, grouped with the rows that share its explanation.
pub(crate) fn groups() -> Vec<Vec<&'static Setting>> {
    let mut groups: Vec<Vec<&Setting>> = Vec::new();
    for setting in all() {
        match groups.last_mut() {
            Some(group) if setting.meaning.is_empty() => group.push(setting),
            _ => groups.push(vec![setting]),
        }
    }
    groups
}
