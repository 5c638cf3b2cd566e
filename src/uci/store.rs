//! wip
/// wip
pub struct Store;
