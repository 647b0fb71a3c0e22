//! Runs variants in rounds. Each round runs every variant once, so that a machine that slows down slows all of them.

/// Values of one variant: for each measure, one value per round.
#[derive(Debug, Clone)]
pub(crate) struct Series<const MEASURES: usize> {
    pub(crate) name: String,
    pub(crate) values: [Vec<f64>; MEASURES],
}

/// Runs each variant once in each round, in an order that changes from round to round. The result is in the order of the variants.
pub(crate) fn interleaved<V, const MEASURES: usize>(
    variants: &[V],
    rounds: usize,
    name: impl Fn(&V) -> String,
    mut run: impl FnMut(&V) -> [f64; MEASURES],
) -> Vec<Series<MEASURES>> {
    let empty = |variant: &V| Series { name: name(variant), values: std::array::from_fn(|_| Vec::new()) };
    let mut all: Vec<_> = variants.iter().map(empty).collect();
    // The first round reads everything from the disk, so it does not count.
    for variant in variants {
        run(variant);
    }
    for round in 0..rounds {
        for index in order(variants.len(), round) {
            for (values, value) in all[index].values.iter_mut().zip(run(&variants[index])) {
                values.push(value);
            }
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    all
}

/// Returns the order of the variants in a round.
fn order(count: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.rotate_left(round % count);
    // Otherwise each variant would always follow the same other one.
    if round / count % 2 == 1 {
        order.reverse();
    }
    order
}
