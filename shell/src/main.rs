//! bootstrapd: a node bootstraps itself. See `bootstrapd --help`.

use std::process::ExitCode;

use bootstrapd_shell::options::{self, Command};
use bootstrapd_shell::{exit, offline, serve};

fn main() -> ExitCode {
    #[cfg(feature = "tls")]
    if std::env::args_os().nth(1).is_some_and(|word| word == bootstrapd_shell::tls::certificate::VERB) {
        return ExitCode::from(bootstrapd_shell::tls::certificate::print());
    }
    let code = match options::parse(std::env::args_os().skip(1)) {
        Ok(Command::Print(text)) => {
            options::print(&text);
            exit::DONE
        }
        Ok(Command::Serve(values)) => serve::run(&values),
        Ok(Command::Reset(values)) => offline::reset(&values),
        Ok(Command::RecoverInPlace(values)) => offline::recover_in_place(&values),
        #[cfg(feature = "etcd")]
        Ok(Command::Move(values)) => offline::move_record(&values),
        #[cfg(feature = "client")]
        Ok(Command::Client(verb, values)) => bootstrapd_shell::client::run(verb, &values),
        #[cfg(feature = "client")]
        Ok(Command::Complete(words)) => {
            bootstrapd_shell::client::complete(&words);
            exit::DONE
        }
        Err(problem) => {
            eprintln!("bootstrapd: {problem}\nTry `bootstrapd --help`.");
            exit::USAGE
        }
    };
    ExitCode::from(code)
}
