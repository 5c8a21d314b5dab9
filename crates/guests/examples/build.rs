//! Compiles an app to a core module: `cargo run -p mesto-guests --example build -- apps/kv kv.wasm`.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(app), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: build APP_DIR FILE".into());
    };
    let toolchain = mesto_guests::ensure_toolchain()?;
    let module = mesto_guests::build(&toolchain, Path::new(&app))?;
    std::fs::write(file, &module)?;
    eprintln!("{} bytes", module.len());
    Ok(())
}
