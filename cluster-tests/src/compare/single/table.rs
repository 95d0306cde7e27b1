//! Medians, ratios and their spread, as Markdown.

use std::fmt::Write as _;

use super::{
    super::median,
    Contender,
    rounds::{NOT_DONE, Row, Sample},
    scenario::{Figure, What},
};

/// Part of the bare loop's processor time that no load may take.
const FLOORS_MAX: f64 = 2.0;

/// Cores that all else may keep busy before a round counts as disturbed.
const OTHER_CORES_MAX: f64 = 0.1;

/// The table; the first contender is compared with the best of the others.
pub(super) fn markdown(contenders: &[Contender], rows: &[Row]) -> String {
    let head = |(index, contender): (usize, &Contender)| {
        let mut samples = rows.iter().flat_map(|row| row.samples[index].iter().flatten());
        let software = samples.find_map(|sample| sample.software.clone());
        software.map_or_else(|| contender.name.clone(), |software| format!("{} ({software})", contender.name))
    };
    let heads: Vec<String> = contenders.iter().enumerate().map(head).collect();
    let floor = contenders.iter().position(Contender::is_floor);
    let more = if floor.is_some() { ["× the floor | ", "---|"] } else { [""; 2] };
    let mut text = format!(
        "| | {} | × the best other | goal | {}disturbed rounds |\n|---|{}---|---|---|{}\n",
        heads.join(" | "),
        more[0],
        "---|".repeat(heads.len()),
        more[1]
    );
    for row in rows {
        let rounds = Rounds::of(row);
        for (at, figure) in row.figures.iter().enumerate() {
            text += &line(row, &rounds, at, figure, floor);
        }
    }
    text
}

/// `floor`: which contender is no competitor but the bare loop.
fn line(row: &Row, rounds: &Rounds, at: usize, figure: &Figure, floor: Option<usize>) -> String {
    let values = |samples: &[Result<Sample, String>]| -> Vec<Option<f64>> {
        let value = |round: &usize| samples[*round].as_ref().ok().map(|sample| sample.values[at]);
        rounds.counted.iter().map(value).collect()
    };
    let all: Vec<Vec<Option<f64>>> = row.samples.iter().map(|samples| values(samples)).collect();
    let cell = |(samples, values): (&Vec<Result<Sample, String>>, &Vec<Option<f64>>)| {
        let mut cell = median(values.iter().flatten().copied())
            .map_or_else(|| "–".to_owned(), |value| format!("{}{}", number(value), figure.what.unit()));
        let failed = samples.iter().filter(|sample| sample.is_err()).count();
        if let Some(Err(error)) =
            samples.iter().find(|sample| sample.is_err()).filter(|_| !is_not_done(samples))
        {
            let error = error.replace('|', "/");
            // Writing to a string does not fail.
            let _ = write!(cell, "; **{failed} of {} rounds failed: {error}**", samples.len());
        }
        cell
    };
    let cells: Vec<String> = row.samples.iter().zip(&all).map(cell).collect();
    let goal = figure.goal;
    let is_met = |median: f64| if figure.what.is_more_better() { median > goal } else { median <= goal };
    let competitors: Vec<_> =
        all.iter().enumerate().filter(|(index, _)| Some(*index) != floor).map(|(_, values)| values).collect();
    let beside_others = told(ratio(&competitors, figure), is_met);
    let of_floor = floor.map(|floor| {
        let ratio = if figure.what == What::Cpu { ratio(&[&all[0], &all[floor]], figure) } else { None };
        format!("{} | ", told(ratio, |median| median <= FLOORS_MAX))
    });
    let sign = if figure.what.is_more_better() { ">" } else { "≤" };
    format!(
        "| {}: {} | {} | {beside_others} | {sign} {goal} | {}{} |\n",
        row.name,
        figure.what.name(),
        cells.join(" | "),
        of_floor.unwrap_or_default(),
        rounds.told
    )
}

/// Median, least and most of ratios; in bold what does not meet its goal.
fn told(ratio: Option<(f64, f64, f64)>, is_met: impl Fn(f64) -> bool) -> String {
    let Some((median, min, max)) = ratio else { return "–".to_owned() };
    let told = format!("{median:.2} ({min:.2}..{max:.2})");
    if is_met(median) { told } else { format!("**{told}**") }
}

fn is_not_done(samples: &[Result<Sample, String>]) -> bool {
    samples.iter().all(|sample| matches!(sample, Err(error) if error == NOT_DONE))
}

/// Which rounds count.
struct Rounds {
    counted: Vec<usize>,
    told: String,
}

impl Rounds {
    /// A round is disturbed if it was for any contender. Disturbed ones are left out as long as half of all remain;
    /// otherwise all count, and the table says so.
    fn of(row: &Row) -> Self {
        let count = row.samples.first().map_or(0, Vec::len);
        let samples =
            |round: usize| row.samples.iter().filter_map(move |samples| samples[round].as_ref().ok());
        let worst = |round| {
            let cores = samples(round).filter_map(|sample| sample.other_cores);
            cores.max_by(f64::total_cmp)
        };
        let Some(other_cores) = median((0..count).filter_map(worst)) else {
            return Self { counted: (0..count).collect(), told: "–".to_owned() };
        };
        let is_quiet = |round: &usize| {
            samples(*round).all(|sample| sample.other_cores.unwrap_or_default() <= OTHER_CORES_MAX)
        };
        let quiet: Vec<usize> = (0..count).filter(is_quiet).collect();
        let disturbed = count - quiet.len();
        let told = format!("{disturbed} of {count}");
        if disturbed == 0 || quiet.len() * 2 >= count {
            return Self { counted: quiet, told: if disturbed > 0 { told + ", left out" } else { told } };
        }
        Self { counted: (0..count).collect(), told: format!("{told}, kept; others {other_cores:.2} cores") }
    }
}

/// The first contender's part of what the best other showed, round by round: median, least and most. The best other is
/// the one with the best median.
fn ratio(all: &[&Vec<Option<f64>>], figure: &Figure) -> Option<(f64, f64, f64)> {
    let (own, others) = all.split_first()?;
    let medians =
        others.iter().filter_map(|values| Some((median(values.iter().flatten().copied())?, values)));
    let by_median = |one: &(f64, _), other: &(f64, _)| f64::total_cmp(&one.0, &other.0);
    let (_, best) =
        if figure.what.is_more_better() { medians.max_by(by_median)? } else { medians.min_by(by_median)? };
    let ratios: Vec<f64> =
        own.iter().zip(best.iter()).filter_map(|(own, best)| Some((*own)? / (*best)?)).collect();
    let (min, max) = ratios
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), ratio| (ratio.min(min), ratio.max(max)));
    Some((median(ratios.into_iter())?, min, max))
}

/// Three digits, or all before the point.
fn number(value: f64) -> String {
    let decimals = if value.abs() < 10.0 { 2 } else { usize::from(value.abs() < 100.0) };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Figure = Figure { what: What::Cpu, goal: 0.9 };

    fn sample(value: f64, other_cores: f64) -> Sample {
        Sample { values: vec![value], other_cores: Some(other_cores), software: None }
    }

    fn row(samples: Vec<Vec<Result<Sample, String>>>) -> Row {
        Row { name: "load", figures: &[CPU], samples }
    }

    #[test]
    fn the_best_other_is_compared_round_by_round() {
        let all = [vec![Some(1.0), Some(3.0)], vec![Some(2.0), Some(2.0)], vec![Some(9.0), Some(9.0)]];
        assert_eq!(ratio(&all.iter().collect::<Vec<_>>(), &CPU), Some((1.0, 0.5, 1.5)));
    }

    #[test]
    fn the_floor_is_no_competitor_and_has_a_column_of_its_own() {
        let figures = [3.0, 4.0, 1.0].map(|value| vec![Ok(sample(value, 0.0))]);
        let row = row(figures.into());
        assert_eq!(
            line(&row, &Rounds::of(&row), 0, &CPU, Some(2)),
            "| load: CPU | 3.00 µs | 4.00 µs | 1.00 µs | 0.75 (0.75..0.75) | ≤ 0.9 | **3.00 (3.00..3.00)** | 0 of 1 |\n"
        );
    }

    #[test]
    fn disturbed_rounds_are_left_out_while_half_remain() {
        let mixed = row(vec![
            vec![Ok(sample(1.0, 0.0)), Ok(sample(1.0, 0.5))],
            vec![Ok(sample(1.0, 0.0)), Ok(sample(1.0, 0.0))],
        ]);
        assert_eq!(Rounds::of(&mixed).counted, [0]);
        let noisy = row(vec![vec![Ok(sample(1.0, 0.3)), Ok(sample(1.0, 0.5))]]);
        assert_eq!(Rounds::of(&noisy).counted, [0, 1]);
        assert_eq!(Rounds::of(&noisy).told, "2 of 2, kept; others 0.40 cores");
    }

    #[test]
    fn a_failed_round_is_told_in_its_cell() {
        let failed = row(vec![
            vec![Ok(sample(1.0, 0.0)), Err("7 lost".to_owned())],
            vec![Ok(sample(2.0, 0.0)), Ok(sample(2.0, 0.0))],
        ]);
        let told = line(&failed, &Rounds::of(&failed), 0, &CPU, None);
        assert_eq!(
            told,
            "| load: CPU | 1.00 µs; **1 of 2 rounds failed: 7 lost** | 2.00 µs | 0.50 (0.50..0.50) | ≤ 0.9 | 0 of 2 |\n"
        );
    }
}
