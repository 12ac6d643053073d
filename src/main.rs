//! The program `dogwatch`; all of it is in the library.

fn main() -> std::process::ExitCode {
    dogwatch::main(std::env::args_os())
}
