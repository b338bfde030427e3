//! The common part of the minimal programs. Each of them is a module of this one.

mod program;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(program::run())
}
