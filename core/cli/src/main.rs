//! The program `viaduct`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything opens a connection: several libraries bring a provider, and the process has to choose one. It can
    // only fail if one was chosen already.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    viaduct_cli::main()
}
