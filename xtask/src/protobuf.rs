//! `cargo xtask protobuf`: the Rust code of docs/tidewire.v1.proto, which is checked in, so that nobody who builds the server
//! needs a compiler of schemas.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::paths;

/// The schema, and the folder that it is in.
const SCHEMA: &str = "docs/tidewire.v1.proto";

/// What is made of it.
const CODE: &str = "server/src/transport/protobuf/schema.rs";

/// The compiled schema, for clients in languages whose library takes that.
const COMPILED: &str = "tests/scripts/tidewire.v1.binpb";

/// What stands above that.
const HEAD: &str = "\
//! The messages of docs/tidewire.v1.proto: made from it by `cargo xtask protobuf`, and not to be changed by hand.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::use_self,
    reason = \"as the generator writes it; the schema says what each is\"
)]

";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fail if the code is not as it would be written, instead of writing it
    #[arg(long)]
    check: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let (code, compiled) = generate()?;
    for (name, made) in [(CODE, code.into_bytes()), (COMPILED, compiled)] {
        let file = paths::root().join(name);
        if !args.check {
            fs::write(&file, made).with_context(|| format!("cannot write {name}"))?;
        } else if fs::read(&file).is_ok_and(|committed| committed == made) {
            println!("   {name} is as the schema says");
        } else {
            bail!("{name} is not up to date: run `cargo xtask protobuf` and commit it");
        }
    }
    Ok(())
}

/// The check, as a step of `cargo xtask test`.
pub(crate) fn step() -> Result<()> {
    run(&Args { check: true })
}

/// The code, and the compiled schema.
fn generate() -> Result<(String, Vec<u8>)> {
    let mut compiler = protox::Compiler::new([paths::root().join("docs")]).context(SCHEMA)?;
    compiler
        .open_file(paths::root().join(SCHEMA))
        .context(SCHEMA)?;
    let compiled = compiler.file_descriptor_set();
    let mut config = prost_build::Config::new();
    // Names and texts of a few bytes: what they are inside is said by the schema.
    config.disable_comments(["."]);
    let modules = compiled.file.into_iter().map(|file| {
        let module = prost_build::Module::from_protobuf_package_name(file.package());
        (module, file)
    });
    let files = config.generate(modules.collect()).context(SCHEMA)?;
    let code: String = files.into_values().collect();
    Ok((
        format!("{HEAD}{code}"),
        compiler.encode_file_descriptor_set(),
    ))
}
