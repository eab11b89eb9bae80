//! What the real cloud does on a bad day, on demand.

/// Faults that the local stack commits on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// The share of closed connections whose `$disconnect` is never delivered, from 0 to 1. API
    /// Gateway delivers it on a best-effort basis.
    pub lose_disconnect: f64,
}

/// Decides when a fault strikes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice {
    faults: Faults,
}

impl Dice {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { faults }
    }

    pub(crate) fn lose_disconnect(self) -> bool {
        strikes(self.faults.lose_disconnect)
    }
}

fn strikes(share: f64) -> bool {
    share > 0.0
        && getrandom::u32().is_ok_and(|random| f64::from(random) < share * f64::from(u32::MAX))
}
