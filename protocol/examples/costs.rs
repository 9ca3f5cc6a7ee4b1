//! Prints what a connection costs, as the documentation has it: `cargo run --example costs > protocol/src/guide/costs.md`.

#[path = "../tests/common/allocations.rs"]
mod allocations;
#[path = "../tests/common/costs.rs"]
mod costs;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

fn main() {
    print!("{}", costs::tables());
}
