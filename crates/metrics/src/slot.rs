//! A component of a column that a plan may leave out, without its absence ever reading as zero.

use crate::codec::{Codec, DecodeError, Reader, Writer};
use crate::unavailable::Unavailable;

/// A component's state, if the plan asks for it.
///
/// When a state that has the component meets one that does not but has values, the values of the
/// latter are missing from it: it becomes `Incomplete`, and stays so. That rule is associative and
/// commutative, so it does not matter where in a merge the gap is found.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Slot<T> {
    /// Not asked for.
    #[default]
    Off,
    /// Collected over all the values.
    On(T),
    /// Collected over some of the values only.
    Incomplete,
}

impl<T> Slot<T> {
    /// The state to feed, if it is collected.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::On(state) => Some(state),
            _ => None,
        }
    }

    /// The state, if it is collected. Prefer the getters of [`crate::ColumnState`], which also test
    /// that every value was read.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::On(state) => Some(state),
            _ => None,
        }
    }

    /// Notes that values came which the component could not take.
    pub(crate) fn void(&mut self) {
        if matches!(self, Self::On(_)) {
            *self = Self::Incomplete;
        }
    }

    /// The state over `expected` values, of which `read` were looked at.
    pub(crate) fn complete(&self, read: u64, expected: u64) -> Result<&T, Unavailable> {
        match self {
            Self::Off => Err(Unavailable::NotCollected),
            Self::On(state) if read == expected => Ok(state),
            Self::On(_) | Self::Incomplete => Err(Unavailable::Incomplete { read, expected }),
        }
    }

    /// Merges `other`; each side says whether it has values that the component should have seen.
    pub(crate) fn absorb(
        &mut self,
        has_values: bool,
        other: &Self,
        other_has_values: bool,
        merge: impl FnOnce(&mut T, &T),
    ) where
        T: Clone,
    {
        match (&mut *self, other) {
            (Self::On(own), Self::On(other)) => merge(own, other),
            (Self::Incomplete, _) | (Self::Off, Self::Off) => {}
            (Self::On(_), Self::Off) if !other_has_values => {}
            (Self::Off, Self::On(_)) if !has_values => self.clone_from(other),
            _ => *self = Self::Incomplete,
        }
    }
}

impl<T: Codec> Codec for Slot<T> {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Off => to.u8(0),
            Self::On(state) => {
                to.u8(1);
                state.write(to);
            }
            Self::Incomplete => to.u8(2),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match from.u8("component")? {
            0 => Ok(Self::Off),
            1 => Ok(Self::On(T::read(from)?)),
            2 => Ok(Self::Incomplete),
            _ => Err(from.invalid("component")),
        }
    }
}
