//! Tests many machines: each has an agent of the real Collector, before a gateway of two Collectors and a real Jaeger, with the files of
//! `examples/collector`.
//!
//! A machine is a network namespace. Namespaces belong to processes of the test and have no names, so nothing is left of them, however the test
//! ends. Their addresses are of the block for tests of networks (RFC 2544).

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use regex::Regex;

use crate::browser::wait_until;
use crate::browser_test::{BrowserTest, Run, alone, is_root, script_path, traceparent};
use crate::navtrace::{Environment, stderr};
use crate::spans::{SESSION, assert_no_journal, spooled};
use crate::support::jaeger::{self, Jaeger};
use crate::support::otelcol::Otelcol;
use crate::traces::{Received, Shop};

/// Tells the process of a test that it is in its own network.
const INSIDE: &str = "IN_OWN_NETWORK";

const MACHINES: usize = 4;

/// The addresses of the shop and of the two gateways.
const SHOP: &str = "198.18.0.1";
const GATEWAYS: [&str; 2] = ["198.18.0.2", "198.18.0.3"];

/// An agent's address for OTLP.
const AGENT: &str = "http://127.0.0.1:4318";

/// How long two Collectors hang: three times as long as one request of navtrace may take.
const HANG: Duration = Duration::from_secs(30);

/// Runs a test again in a process with a network of its own, which ends with that process.
fn in_own_network(test: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        ip("link set lo up");
        for address in [SHOP, GATEWAYS[0], GATEWAYS[1]] {
            ip(&format!("address add {address}/32 dev lo"));
        }
        return body();
    }
    let _guard = alone();
    let mut command = Command::new("unshare");
    // A user may have a network only as root of a user namespace.
    command.arg("--net").args((!is_root()).then_some("--map-root-user")).arg(env::current_exe().unwrap());
    command.args(["--exact", &format!("machines::{test}"), "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let status = command.status().unwrap();
    assert!(status.success(), "{status}");
}

/// Runs `ip` of iproute2.
fn ip(args: &str) {
    let status = Command::new("ip").args(args.split(' ')).status().unwrap();
    assert!(status.success(), "ip {args}");
}

/// A machine that runs tests.
struct Machine {
    /// Holds the network namespace as long as it lives.
    holder: Child,
    test: BrowserTest,
}

impl Machine {
    fn start(number: usize) -> Self {
        let mut command = Command::new("unshare");
        let mut holder = command.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // Its answer tells that the namespace is there.
        holder.stdin.as_mut().unwrap().write_all(b"?").unwrap();
        holder.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let prefix = prefix(&holder);
        let within = |args: &str| {
            let status = Command::new(&prefix[0]).args(&prefix[1..]).arg("ip").args(args.split(' ')).status().unwrap();
            assert!(status.success(), "ip {args} on machine {number}");
        };
        ip(&format!("link add machine{number} type veth peer name eth0 netns {}", holder.id()));
        ip(&format!("address add 198.18.{number}.1/24 dev machine{number}"));
        ip(&format!("link set machine{number} up"));
        within("link set lo up");
        within(&format!("address add 198.18.{number}.2/24 dev eth0"));
        within("link set eth0 up");
        within(&format!("route add default via 198.18.{number}.1"));
        Self { holder, test: BrowserTest::new() }
    }

    /// Starts its agent.
    fn agent(&self) -> Otelcol {
        Otelcol::agent(&prefix(&self.holder), &GATEWAYS)
    }

    /// Returns a command of navtrace on this machine.
    fn navtrace(&self, args: &[&str]) -> Command {
        let command = self.test.environment.navtrace(args);
        let prefix = prefix(&self.holder);
        let mut wrapped = Command::new(&prefix[0]);
        wrapped.args(&prefix[1..]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        wrapped.envs(Environment::exporting(AGENT));
        wrapped
    }

    /// Runs the shop's test for some time.
    fn run(&self, shop: &str, duration: &str) -> Run {
        let mut command = self.navtrace(&["run", "--", "k6", "run", "--quiet", "--no-usage-report"]);
        command.args(["-e", &format!("SHOP_URL={shop}"), "-e", &format!("DURATION={duration}")]);
        command.arg(script_path("shopping.js")).stdin(Stdio::null());
        // k6 logs an error when a busy browser still writes to the profile that k6 removes, with and without navtrace.
        self.test.ended(&command.output().unwrap())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Returns the beginning of a command that runs in the namespace of a process.
fn prefix(holder: &Child) -> Vec<String> {
    vec!["nsenter".to_owned(), format!("--net=/proc/{}/ns/net", holder.id()), "--".to_owned()]
}

/// Returns the traces in the summary of a run, each with the number of its spans that were exported or kept.
fn traces(run: &Run) -> BTreeMap<String, usize> {
    let line = Regex::new(r"(?m)^navtrace:   ([0-9a-f]{32})  .*$").unwrap();
    let part = Regex::new(r"(\d+) spans? (?:exported|kept for later)").unwrap();
    let count = |line: &str| part.captures_iter(line).map(|part| part[1].parse::<usize>().unwrap()).sum();
    let traces = line.captures_iter(&run.log).map(|line| (line[1].to_owned(), count(&line[0])));
    traces.collect()
}

fn trace_ids(received: &[Received]) -> BTreeSet<&str> {
    received.iter().map(|request| request.trace_id.as_str()).collect()
}

/// Waits until a trace is in Jaeger, whole: all of the browser's spans below one root, and the span of each request that the shop received.
fn whole(jaeger: &Jaeger, trace_id: &str, spans: usize, received: &[&Received]) -> jaeger::Trace {
    // Without those of k6 itself, which its traces have besides.
    let ids = |trace: &jaeger::Trace| {
        let others = trace.spans.iter().filter(|span| span.service != "k6");
        others.map(|span| span.id.clone()).collect::<BTreeSet<_>>()
    };
    let trace = jaeger.wait_for(trace_id, |trace| ids(trace).len() >= spans + received.len());
    assert_eq!(ids(&trace).len(), spans + received.len(), "{trace_id}");
    assert!(trace.missing_parents().is_empty(), "{:#?}", trace.missing_parents());
    let roots: BTreeSet<_> = trace.roots().iter().map(|root| root.name.as_str()).collect();
    assert_eq!(roots, [SESSION].into());
    for request in received {
        let parent = request.parent_span_id.as_ref().unwrap();
        let span = trace.spans.iter().find(|span| span.id == request.span_id).unwrap();
        assert_eq!((&span.service, span.parent.as_ref()), (&request.service, Some(parent)));
    }
    trace
}

#[test]
fn nothing_is_lost_while_collectors_restart_and_hang() {
    in_own_network("nothing_is_lost_while_collectors_restart_and_hang", || {
        let jaeger = Jaeger::start();
        let [hanging, mut restarting] = GATEWAYS.map(|address| Otelcol::gateway(address, &jaeger.endpoint(), 100));
        let _agent_of_shop = Otelcol::agent(&[], &GATEWAYS);
        let shop = Shop::start(AGENT, SHOP);
        let machines: Vec<Machine> = (1..=MACHINES).map(Machine::start).collect();
        let mut agents: Vec<Otelcol> = machines.iter().map(Machine::agent).collect();

        let runs: Vec<Run> = thread::scope(|scope| {
            let url = shop.url.as_str();
            let start = |machine| scope.spawn(move || Machine::run(machine, url, "50s"));
            let runs: Vec<_> = machines.iter().map(start).collect();
            wait_until("every machine has a trace", || trace_ids(&shop.received()).len() >= MACHINES);
            // The gateways first, so that the agents have something to keep.
            hanging.pause();
            restarting.end();
            restarting.start_again();
            agents[0].pause();
            agents[1].kill();
            agents[1].start_again();
            thread::sleep(HANG);
            hanging.resume();
            agents[0].resume();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        let hung = &runs[0].log;
        assert!(hung.contains(" kept for later") || hung.contains("spans can't be sent to "), "{hung}");
        for machine in &machines {
            let flushed = machine.navtrace(&["flush"]).output().unwrap();
            assert!(flushed.status.success(), "{}", stderr(&flushed));
            assert_eq!(spooled(&machine.test), []);
            assert_no_journal(&machine.test);
        }

        let received = shop.received();
        let of_machines: Vec<_> = runs.iter().map(traces).collect();
        let all: BTreeMap<_, _> = of_machines.iter().flatten().collect();
        assert_eq!(all.len(), of_machines.iter().map(BTreeMap::len).sum::<usize>(), "no two machines share a trace");
        assert_eq!(trace_ids(&received), all.keys().map(|id| id.as_str()).collect());
        let mut spans = BTreeSet::new();
        let mut sent_again = 0;
        for (trace_id, browser) in all {
            let received: Vec<_> = received.iter().filter(|request| request.trace_id == *trace_id).collect();
            let trace = whole(&jaeger, trace_id, *browser, &received);
            let of_trace: BTreeSet<_> = trace.spans.iter().map(|span| span.id.clone()).collect();
            assert!(of_trace.is_disjoint(&spans), "no two traces share a span id");
            sent_again += trace.spans.len() - of_trace.len();
            spans.extend(of_trace);
        }
        println!(
            "{} traces of {} machines have {} spans, and {sent_again} spans are there more than once; the shop received {} requests",
            of_machines.iter().map(BTreeMap::len).sum::<usize>(),
            of_machines.len(),
            spans.len(),
            received.len()
        );
    });
}

#[test]
fn a_gateway_keeps_failed_and_slow_traces_whole_and_drops_others() {
    in_own_network("a_gateway_keeps_failed_and_slow_traces_whole_and_drops_others", || {
        let jaeger = Jaeger::start();
        let mut gateways = GATEWAYS.map(|address| Otelcol::gateway(address, &jaeger.endpoint(), 0));
        let mut agent = Otelcol::agent(&[], &GATEWAYS);
        let test = BrowserTest::new();
        let mut command = test.traced_command("sampled.js", &[("ITERATIONS", "6")]);
        command.envs(Environment::exporting(AGENT));
        let run = test.run(command);

        let traces = traces(&run);
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for request in run.requests.iter().filter(|request| request.run.is_some()) {
            names.insert(request.run.clone().unwrap(), traceparent(request).trace_id);
        }
        assert_eq!((names.len(), traces.len()), (6, 6), "{}", run.log);
        for kept in ["failed", "slow"] {
            let trace_id = names.remove(kept).unwrap();
            whole(&jaeger, &trace_id, traces[&trace_id], &[]);
        }
        // They ended last, so the gateways have decided on the others too. What they had not yet, they decide on at their end.
        agent.end();
        gateways.iter_mut().for_each(Otelcol::end);
        for (name, trace_id) in names {
            assert_eq!(jaeger.trace(&trace_id).spans, [], "{name}");
        }
    });
}
