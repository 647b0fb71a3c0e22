//! Has k6 export its own spans to the run, which puts them into the traces of the browsers.

use std::ffi::OsStr;
use std::process::Command;

use crate::base::environment::{RUN_K6_SPANS, RUN_SAMPLER};
use crate::base::failure::Failure;
use crate::base::stdio::say;
use crate::collect::receiver::direct;
use crate::context::sampler;
use crate::run::RunOptions;
use crate::run::k6_spans::K6Spans;
use crate::run::receiver::ReportReceiver;
use crate::run::test_runner::export::TestExporter;

/// The variable of k6 that says where its spans go.
const TRACES_OUTPUT: &str = "K6_TRACES_OUTPUT";

/// The option of k6 that wins over the variable.
const OPTION: &str = "--traces-output";

/// The value that switches k6's export off.
const OFF: &str = "none";

/// Receives the spans of the k6 that the command may start, unless the user sends them elsewhere.
pub(super) fn receive_spans(
    receiver: &ReportReceiver,
    command: &mut Command,
    RunOptions { policy, export, browser_sampler, .. }: &RunOptions<'_>,
) -> Result<(), Failure> {
    if export.endpoint.is_none() {
        return Ok(());
    }
    let chosen = std::env::var_os(TRACES_OUTPUT).filter(|value| !value.is_empty());
    let mut following = command.get_args().skip_while(|argument| *argument != OPTION).skip(1);
    let with_sign = |argument: &OsStr| Some(argument.to_str()?.strip_prefix(OPTION)?.strip_prefix('=')?.into());
    let option = following.next().map(OsStr::to_owned).or_else(|| command.get_args().find_map(with_sign));
    let source = if option.is_some() { OPTION } else { TRACES_OUTPUT };
    if let Some(output) = option.or(chosen) {
        if output != OFF {
            say(&format!("k6's own spans go where {source} says, so they are not put into the browsers' traces"));
        }
        return Ok(());
    }
    let shared = receiver.shared();
    let address = direct::receive(move |spans| shared.receive_k6_spans(spans))?;
    receiver.trace_k6(K6Spans::new(policy.redaction.clone()), TestExporter::new(export.clone()));
    let output = format!("otel=http://{address}/v1/traces,proto=http");
    command.env(TRACES_OUTPUT, output).env(RUN_K6_SPANS, address.to_string());
    if let Some(chosen) = browser_sampler {
        // The run takes what belongs to sampled traces from all of k6's spans.
        command.env(sampler::SETTING, "always_on").env(RUN_SAMPLER, chosen);
    }
    Ok(())
}
