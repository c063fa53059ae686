//! The table that the suite prints at its end.

use std::collections::BTreeMap;

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Exact,
    Unknown,
    Wrong,
}

#[derive(Debug, Default, Clone, Copy)]
struct Row {
    times: usize,
    exact: usize,
    unknown: usize,
    wrong: usize,
    left: usize,
    ends: usize,
    no_code: usize,
    bytes: u64,
}

impl Row {
    fn add(&mut self, step: &Step) {
        self.times += 1;
        match step.outcome {
            Outcome::Exact => self.exact += 1,
            Outcome::Unknown => self.unknown += 1,
            Outcome::Wrong => self.wrong += 1,
        }
        self.left += step.left;
        self.ends += step.ends;
        self.no_code += step.no_code;
        self.bytes += step.bytes;
    }
}

/// One step, as the table counts it. The process with the worst result decides the outcome.
#[derive(Debug)]
pub struct Step {
    /// The row that counts this step: a fault, all pairs together, or the session's end.
    pub row: String,
    pub outcome: Outcome,
    /// How many processes and files were left behind.
    pub left: usize,
    /// How many exits of applications were reported and compared.
    pub ends: usize,
    /// How many of them have a code that nobody can know.
    pub no_code: usize,
    /// How many bytes of output were compared.
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub struct Table {
    rows: BTreeMap<String, Row>,
    total: Row,
}

impl Table {
    pub fn add(&mut self, step: &Step) {
        self.rows.entry(step.row.clone()).or_default().add(step);
        self.total.add(step);
    }

    pub fn times(&self, row: &str) -> usize {
        self.rows.get(row).map_or(0, |row| row.times)
    }

    pub fn steps(&self) -> usize {
        self.total.times
    }

    pub fn is_good(&self) -> bool {
        self.total.wrong == 0 && self.total.left == 0
    }

    /// Returns the table, and a last line that sums it up.
    pub fn print(&self, took: std::time::Duration) -> String {
        let width = self.rows.keys().map(String::len).max().unwrap_or(0).max("fault".len());
        let heads = ["times", "exact", "unknown", "wrong", "left behind", "exits reported", "no code*"];
        let mut text = format!("{:width$}  {}\n", "fault", heads.join("  "));
        for (name, row) in &self.rows {
            let numbers = [row.times, row.exact, row.unknown, row.wrong, row.left, row.ends, row.no_code];
            let cells: Vec<_> =
                numbers.iter().zip(heads).map(|(number, head)| format!("{number:>w$}", w = head.len())).collect();
            text += &format!("{name:width$}  {}\n", cells.join("  "));
        }
        let Row { times, exact, unknown, wrong, left, ends, no_code, bytes } = self.total;
        text += &format!(
            "* exits that were reported once and in time, without a code, because nobody can know it: the \
             application's parent was killed, or the link was lost and its host had no room to record the code.\n\
             {ends} exits were reported and compared, {no_code} of them without a code*, and {bytes} bytes of output, \
             in {:.0} s.\n",
            took.as_secs_f64()
        );
        text + &format!("faults: {times} steps, {exact} exact, {unknown} unknown, {wrong} wrong, {left} left behind")
    }
}
