//! Tests of `table`.

use crate::table::*;

#[test]
fn the_last_line_counts_every_step_once_and_all_that_was_left() {
    let mut table = Table::default();
    for (outcome, left) in [(Outcome::Exact, 0), (Outcome::Unknown, 0), (Outcome::Wrong, 2)] {
        table.add(&Step { row: "a".into(), outcome, left, ends: 1, no_code: 0, bytes: 0 });
    }
    assert!(!table.is_good());
    let text = table.print(std::time::Duration::from_secs(1));
    assert!(text.ends_with("faults: 3 steps, 1 exact, 1 unknown, 1 wrong, 2 left behind"), "{text}");
    assert_eq!((table.times("a"), table.steps()), (3, 3));
}
