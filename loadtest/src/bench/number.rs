//! Counts as floats and back: what is counted here is far below 2⁵².

#[expect(clippy::cast_precision_loss, reason = "far below 2⁵²")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// The whole part, 0 for what is none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of floats saturates"
)]
pub(crate) fn whole(number: f64) -> u64 {
    number as u64
}

/// In mebibytes.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    float(bytes) / 1_048_576.0
}
