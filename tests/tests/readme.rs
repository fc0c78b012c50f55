//! What the README says of tests is so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

const README: &str = include_str!("../../README.md");
const CLIENTS: &str = include_str!("../system/clients.rs");

/// The names of all tests in this source.
fn tests(source: &str) -> Vec<&str> {
    let after = source.split("#[test]\n").skip(1);
    after.map(|text| text.trim_start().strip_prefix("fn ").unwrap().split('(').next().unwrap()).collect()
}

/// The test that each row of the table of clients names.
fn named() -> Vec<&'static str> {
    let section = README.split("\n## Clients\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_end_matches([' ', '|']).rsplit("| ").next().unwrap().trim_matches('`')).collect()
}

#[test]
fn every_row_of_the_table_of_clients_has_its_test() {
    let tests = tests(CLIENTS);
    let named = named();
    assert!(named.len() >= 19, "{named:?}");
    for name in &named {
        assert!(tests.contains(name), "the README names {name}, and there is no such test of clients");
    }
    for test in tests {
        assert!(named.contains(&test), "{test} has no row in the README's table of clients");
    }
}
