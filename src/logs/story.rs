//! tmp
pub fn install(_: tracing::level_filters::LevelFilter) -> Result<(), String> {
    Ok(())
}
