//! Runs every row with every contender and prints a line of tab-separated figures for each:
//! `id`, what it is, and `name=nanoseconds/ratio` of each contender, the ratio being to the first. `cargo xtask bench codec` makes the table from them.
//!
//! `run ID NAME MESSAGES` runs one job and prints nothing, to have its instructions counted from outside.

mod contenders;
mod measure;
mod rows;
mod transport;
mod workload;

use std::io::Write;

use rows::Row;

fn main() {
    // How fast memory is copied depends on where it lies: every run lays the heap out a little differently, and whoever
    // takes the median of several runs has not measured one layout.
    std::mem::forget(std::hint::black_box(vec![
        1_u8;
        64 + std::process::id() as usize
            * 112
            % 4096
    ]));
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["run", id, name, messages] => {
            run(id, name, messages.parse().expect("a number of messages"))
        }
        ["list"] => rows::all().iter().for_each(list),
        ref wanted => rows::all()
            .iter()
            .filter(|row| wanted.is_empty() || wanted.iter().any(|id| row.id.starts_with(id)))
            .for_each(measured),
    }
}

fn list(row: &Row) {
    let names: Vec<_> = row
        .contenders
        .iter()
        .map(|contender| contender.name)
        .collect();
    println!(
        "{}\t{}\t{}\t{}",
        row.id,
        row.about,
        row.step,
        names.join("\t")
    );
}

fn measured(row: &Row) {
    let cells = row.contenders.iter().zip(measure::measure(row));
    let cells: Vec<_> = cells
        .map(|(contender, took)| {
            format!(
                "{}={:.1}/{:.3}",
                contender.name, took.nanoseconds, took.ratio
            )
        })
        .collect();
    println!("{}\t{}\t{}", row.id, row.about, cells.join("\t"));
    let _ = std::io::stdout().flush();
}

fn run(id: &str, name: &str, messages: u64) {
    let rows = rows::all();
    let row = rows
        .iter()
        .find(|row| row.id == id)
        .expect("a row with this id");
    let found = row
        .contenders
        .iter()
        .find(|contender| contender.name == name);
    let mut job = (found.expect("a contender of this row").job)();
    let messages = messages.next_multiple_of(row.step);
    std::hint::black_box(job(messages));
}
